"""Step 5, rebuild: run the builders again in a ghost and look at what they make."""
