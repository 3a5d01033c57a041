"""Stages verified boot images and serves them."""
