"""Checking a published release as a stranger, who has the pinned root and what everybody can download."""
