"""One module per subcommand: reads options, calls the library, prints the result."""
