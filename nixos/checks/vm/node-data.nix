# Two nodes with different data run one toplevel, each under its own name, and both are what CI signed.
{
  ci,
  installer,
  node,
  toplevel,
  ...
}:
{
  nodes = {
    inherit ci installer node;
    second = node;
  };
  script = ''
    def data(name):
        return f"""schema = "ec-runner.node.v1"
    name = "{name}"
    ssh_keys = ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ3VJ2wLkmQ7n5sFV8cXx1kq1j0m6nqk3vO6x0K5bq9N operator"]
    """

    install()
    begin_publishing()
    publish(1)

    machines = {"runner-1": node, "runner-2": second}
    for name, machine in machines.items():
        boot(machine)
        pin(machine)
        machine.succeed(f"cat > /var/lib/every-channel/node.toml << 'END'\n{data(name)}END")
        again(machine)

    with subtest("each has its name and lets its operator in"):
        for name, machine in machines.items():
            assert machine.succeed("hostname").strip() == name
            assert json.loads(machine.succeed("cat /run/every-channel/node.json"))["name"] == name
            assert "operator" in machine.succeed("cat /run/every-channel/ssh/root")

    with subtest("both run the same"):
        for machine in machines.values():
            assert machine.succeed("readlink --canonicalize /run/current-system").strip() == "${toplevel "node"}"

    with subtest("both pass, and their reports say whose data they have"):
        results = {name: passes(machine, "bytes") for name, machine in machines.items()}
        assert [one["node"] for one in results.values()] == list(results)
        digests = {one["nodeDataDigest"] for one in results.values()}
        assert len(digests) == 2 and None not in digests, digests
  '';
}
