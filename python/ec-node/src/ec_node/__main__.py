"""`python -m ec_node`."""

from ec_node.main import main

main()
