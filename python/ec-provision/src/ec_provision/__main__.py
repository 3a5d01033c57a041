"""`python -m ec_provision`."""

from ec_provision.main import main

main()
