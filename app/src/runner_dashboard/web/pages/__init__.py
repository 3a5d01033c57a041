"""Pages for people: made on the server, complete without scripts."""
