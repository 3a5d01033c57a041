# A reinstallation that keeps /var makes everything else anew: the node is who it was, and runs what the medium brings.
{ installer, node, ... }:
{
  nodes = { inherit installer node; };
  script = ''
    install()
    boot(node)
    key = node.succeed("ec-verify key")
    node.succeed("echo left > /tmp/left")
    left = node.succeed("nix-store --add /tmp/left").strip()
    node.shutdown()

    # The disk goes back to the machine that installs.
    shutil.copy(node.state_dir / "target.qcow2", installer.state_dir / "target.qcow2")
    install("--keep-var")
    shutil.copy(installer.state_dir / "target.qcow2", node.state_dir / "target.qcow2")
    boot(node)

    with subtest("the node is who it was"):
        assert node.succeed("ec-verify key") == key

    with subtest("the store is that of the medium"):
        node.fail(f"ls -d {left}")
        node.fail(f"nix-store --check-validity {left}")
  '';
}
