"""NAR, the archive format whose SHA-256 is what Nix knows about a store path's bytes (pitfalls P46 to P49).

`dump` writes the archive of a tree on disk, `hash` hashes it, `reader` reads an archive from strangers, `restore` puts
one on disk, `tree` holds small ones in memory.
"""
