"""The courier: the part that speaks to the network, without rights, and owns one directory alone.

own.py     the courier's side of the directory: it must be its own
fetch.py   `ec-verify fetch`: metadata, manifests, a nonce
ledger.py  what `ec-verify submit` sent, written by the courier and settled by who owns the spool
nonce.py   the nonce that was fetched, taken once by a run
"""
