"""What is kept for how long, what is kept whatever its age, and what remains of the rest: numbers by day."""
