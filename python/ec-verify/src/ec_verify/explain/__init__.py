"""Explaining: why a path has its verdict, what differs in it, who depends on it."""
