"""Release authority: which path publishes what, declared in one file, and held against the repository."""
