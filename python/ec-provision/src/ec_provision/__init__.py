"""Applies a node's own data at boot: name, keys, broadcasts, dashboard."""
