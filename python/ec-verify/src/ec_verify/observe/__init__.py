"""Step 2, observe: what is there, without an opinion."""
