"""Staging: from a signed release, or a local archive with a known digest, to a directory that may be served."""
