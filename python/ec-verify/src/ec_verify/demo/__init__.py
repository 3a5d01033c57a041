"""The demonstration: a small appliance, the ways to attack it, and who notices."""
