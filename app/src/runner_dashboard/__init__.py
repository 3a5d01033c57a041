"""Shows what a fleet of runners proves."""
