"""Where a broadcast goes: origins behind one protocol."""
