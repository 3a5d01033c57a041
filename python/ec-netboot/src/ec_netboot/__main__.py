"""`python -m ec_netboot`."""

from ec_netboot.main import main

main()
