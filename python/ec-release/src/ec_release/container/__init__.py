"""The dashboard's container image: its tags, what it stands on, how it came about, what a release says of it."""
