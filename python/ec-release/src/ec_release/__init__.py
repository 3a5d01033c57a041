"""Describe, sign and publish releases. Runs in CI and holds release keys; never runs on nodes."""
