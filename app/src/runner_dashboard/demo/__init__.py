"""Machines that do not exist, with keys and signatures that do: for the demonstration and for tests."""
