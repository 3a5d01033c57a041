"""Publishing to the releases of a Forgejo repository, through its API v1 and the addresses that readers use."""
