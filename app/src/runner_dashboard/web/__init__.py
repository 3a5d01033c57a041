"""Pages, API and the doors in front of them."""
