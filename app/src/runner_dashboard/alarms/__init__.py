"""What an operator is woken for: silent nodes, nodes that failed, keys that are suspected; told by a signed webhook."""
