"""`python -m ec_verify`."""

from ec_verify.main import main

main()
