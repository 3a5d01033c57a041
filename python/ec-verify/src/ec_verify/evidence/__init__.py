"""The evidence bundle of a run: made on the node, checked by anybody. The format is `ec_closure.evidence`."""
