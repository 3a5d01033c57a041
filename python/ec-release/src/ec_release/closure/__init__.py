"""Describes one system as a closure manifest: what `ec-release closure` does.

source.py   the commit that is released, exported as nodes will have it
nix.py      runs Nix: evaluates the exported source, builds on request
lock.py     the inputs that the flake's lock names
graph.py    the derivations that make the system
origin.py   how this machine came by each path, and who vouches for it
disk.py     the bytes of each path, hashed anew
links.py    symlinks inside a store that lies elsewhere
boot.py     the files that firmware and boot loaders read
describe.py puts it together
"""
