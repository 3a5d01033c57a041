"""Step 3, bytes: one pass over the disk, hashes and metadata together."""
