"""Publishes broadcasts: what a runner exists for."""
