"""Verified downloads: a TUF client for release assets. Only bytes that signed metadata vouch for leave this package."""
