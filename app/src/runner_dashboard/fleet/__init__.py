"""Questions about the fleet, answered from the database."""
