"""Where releases are published to: one protocol, and what implements it."""
