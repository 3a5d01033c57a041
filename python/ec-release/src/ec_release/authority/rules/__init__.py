"""What the repository is held to, one subject a file. Each rule takes the facts and yields findings."""
