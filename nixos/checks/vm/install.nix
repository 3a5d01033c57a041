# `ec-install` makes a runner out of an empty disk, and that runner starts by firmware and boot loader alone.
{
  installer,
  node,
  toplevel,
  ...
}:
{
  nodes = { inherit installer node; };
  script = ''
    with subtest("what is wrong is said before anything is written"):
        installer.start()
        installer.wait_for_unit("multi-user.target")
        installer.fail("ec-install --disk /dev/null --system ${toplevel "node"} --yes")
        installer.fail("ec-install --disk /dev/vda --keep-var --system ${toplevel "node"} --yes")
        installer.fail("ec-install --disk /dev/vda --system /nix/store --yes")
        assert "EC-" not in installer.succeed("lsblk --noheadings --output PARTLABEL /dev/vda")

    install()
    boot(node)

    with subtest("partitions by name"):
        found = node.succeed("lsblk --noheadings --output PARTLABEL").split()
        assert sorted(found) == ["EC-BOOT", "EC-NIX", "EC-ROOT", "EC-VAR"], found

    with subtest("it runs what was installed, from its own profile"):
        assert node.succeed("readlink --canonicalize /run/current-system").strip() == "${toplevel "node"}"
        assert node.succeed("readlink --canonicalize /nix/var/nix/profiles/system").strip() == "${toplevel "node"}"
        node.succeed("nix-store --check-validity ${toplevel "node"}")

    with subtest("nothing failed"):
        assert node.succeed("systemctl --failed --no-legend --plain").strip() == ""

    with subtest("its source is inside, without a repository"):
        node.succeed("test -e /etc/every-channel/flake/flake.nix")
        node.fail("test -e /etc/every-channel/flake/.git")
  '';
}
