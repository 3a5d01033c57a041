# A node that was tampered with says so, and says what: a file of the store, the initial RAM disk that boots next, a
# drop-in of a unit. What is put back is forgiven.
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
    pin(node)
    passes(node, "bytes")

    with subtest("a program of the store"):
        file = node.succeed("readlink --canonicalize /run/current-system/sw/bin/ls").strip()
        node.succeed(
            "mount -o remount,bind,rw /nix/store",
            f"cp --preserve=all {file} /var/lib/kept",
            f"cp {file} /var/lib/changed && printf x >> /var/lib/changed",
            f"chmod +w {file} && cat /var/lib/changed > {file}; chmod -w {file}; touch --date=@1 {file}",
        )
        fails(node, "bytes", "EV201")
        node.succeed(f"rm -f {file} && cp --preserve=all /var/lib/kept {file} && touch --date=@1 $(dirname {file})")
        node.succeed("mount -o remount,bind,ro /nix/store")
        passes(node, "bytes")

    with subtest("the initial RAM disk on /boot"):
        node.succeed(
            "set -- /boot/EFI/nixos/*initrd*.efi; cp $1 /var/lib/initrd; printf x >> $1",
        )
        fails(node, "bytes", "EV307")
        node.succeed("set -- /boot/EFI/nixos/*initrd*.efi; cp /var/lib/initrd $1")
        passes(node, "bytes")

    with subtest("a drop-in of a unit"):
        node.succeed(
            "mkdir -p /run/systemd/system/sshd.service.d",
            "printf '[Service]\\nExecStartPre=/bin/sh -c true\\n' > /run/systemd/system/sshd.service.d/10-more.conf",
        )
        fails(node, "bytes", "EV313")
        node.succeed("rm -r /run/systemd/system/sshd.service.d")
        passes(node, "bytes")
  '';
}
