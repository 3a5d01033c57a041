"""Step 7, report: say it, signed, whatever it is."""
