"""One module a subcommand: read options, call what does the work, print the result."""
