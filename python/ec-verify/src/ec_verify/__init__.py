"""Verify, on a node, that it runs what CI signed."""
