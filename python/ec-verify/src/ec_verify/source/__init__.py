"""Step 4, source: the embedded flake and its locked inputs, re-hashed and then evaluated in the ghost."""
