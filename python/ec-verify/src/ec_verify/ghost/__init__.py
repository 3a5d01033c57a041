"""The ghost store: evaluate and rebuild without touching the store that is being verified.

A private mount namespace in which an overlay lies over the store directory (lower: the real store,
upper: scratch) and a private state directory over Nix's own, its database a copy. Nix builds there
at the true paths; what it writes lands in the upper layer. When the holder process ends, the kernel
removes namespace, mounts and every process inside: nothing can stay behind.
"""
