"""Runners of CI, as the forges know them that they work for."""
