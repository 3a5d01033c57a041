"""Segments that are kept: content-addressed, with an index that only grows."""
