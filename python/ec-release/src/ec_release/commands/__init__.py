"""One file for each subcommand: options in, result out. The work is done elsewhere."""
