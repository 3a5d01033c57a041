# Python with all distributions of the workspace and what their tests and lint need, from the set that nodes run.
{ pkgs }:
pkgs.python3.withPackages (
  set: with set; [
    ec-closure
    ec-fetch
    ec-netboot
    ec-node
    ec-provision
    ec-release
    ec-verify
    runner-dashboard
    # Tests and lint
    grpcio
    grpcio
    hypothesis
    jsonschema
    mypy
    pytest
    pytest-xdist
    trustme
  ]
)
