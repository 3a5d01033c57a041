"""What earlier runs saw, remembered under the node's key, so that the next run pays only for what changed.

contents.py   the file: its types, its spelling, its authentication
clock.py      whether the machine's clock can be believed to have only gone forward
choose.py     which paths need not be read again, and which must be
keeper.py     reading it before a run and writing it after
"""
