# The store, the boot partition and /var keep what is written, and who the node is outlives a boot.
{ installer, node, ... }:
{
  nodes = { inherit installer node; };
  script = ''
    install()
    boot(node)
    added = node.succeed("echo kept > /tmp/kept; nix-store --add /tmp/kept").strip()
    node.succeed("echo kept > /boot/kept", "mkdir -p /var/lib/test", "echo kept > /var/lib/test/kept")
    key = node.succeed("ec-verify key")
    host = node.succeed("cat /var/lib/ssh/ssh_host_ed25519_key.pub")

    again(node)

    with subtest("each file system"):
        for file in (added, "/boot/kept", "/var/lib/test/kept"):
            assert node.succeed(f"cat {file}") == "kept\n", file
        node.succeed(f"nix-store --check-validity {added}")

    with subtest("the node's key and SSH's"):
        assert node.succeed("ec-verify key") == key
        assert node.succeed("cat /var/lib/ssh/ssh_host_ed25519_key.pub") == host
  '';
}
