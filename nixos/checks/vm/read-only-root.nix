# What is written to the root is gone at the next boot, and the real root cannot be written to at all.
{ installer, node, ... }:
{
  nodes = { inherit installer node; };
  script = ''
    install()
    boot(node)

    with subtest("the root is an overlay of bounded size over the real one"):
        assert node.succeed("findmnt --noheadings --output FSTYPE /").strip() == "overlay"
        assert "size=" in node.succeed("findmnt --noheadings --output OPTIONS /run/every-channel/root/rw")

    with subtest("the real root can be seen, and not written to"):
        node.succeed("test -d /run/every-channel/root/lower/nix")
        node.fail("touch /run/every-channel/root/lower/written")
        node.fail("mount -o remount,bind,rw /run/every-channel/root/lower && touch /run/every-channel/root/lower/written")

    node.succeed("echo one > /etc/written", "mkdir -p /srv/written", "echo two > ~root/.written")
    again(node)

    with subtest("writes are gone"):
        node.fail("ls -d /etc/written")
        node.fail("ls -d /srv/written")
        node.fail("ls -d ~root/.written")
  '';
}
