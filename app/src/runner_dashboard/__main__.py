"""`python -m runner_dashboard`."""

from runner_dashboard.main import main

main()
