# A node evaluates the source that it carries, without network, to the very system that it runs and that CI signed.
{
  ci,
  installer,
  node,
  ...
}:
{
  nodes = { inherit ci installer node; };
  script = ''
    install()
    begin_publishing()
    publish(1)
    boot(node)

    with subtest("without a root nothing is believed, and nothing is accused"):
        code, result = verify(node, "bytes")
        assert (code, result["verdict"]) == (3, "undecided"), result
        assert "EV113" in {one["code"] for one in result["findings"]}

    pin(node)

    with subtest("the store is as it was, bit for bit"):
        before = node.succeed("ls /nix/store | sha256sum; nix-store --query --hash /run/current-system")
        passes(node, "source")
        assert node.succeed("ls /nix/store | sha256sum; nix-store --query --hash /run/current-system") == before

    with subtest("the unit has the rights that it needs, and no more"):
        node.succeed("systemctl start ec-verify-bytes.service", "systemctl start ec-verify-source.service")
        status = json.loads(node.succeed("ec-verify status --json"))
        assert "passed" in json.dumps(status), status
        assert node.succeed("systemctl show --property=Result --value ec-verify-source.service").strip() == "success"
  '';
}
