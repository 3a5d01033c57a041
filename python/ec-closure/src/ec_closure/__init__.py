"""The formats of ec-runner: what a Nix closure is made of, and what is said and signed about it.

Pure: bytes in, values out. Nothing here opens a connection, reads a clock or keeps state.
"""
