"""Images of a flake, to a registry: what CI builds, what it hands over, what it pushes (ADR-002)."""
