"""Verified downloads: get a release asset that the pinned root vouches for, or nothing."""
