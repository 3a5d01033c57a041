# A node is upgraded in place, the new generation is what CI signed, and the old one is one command away.
{
  ci,
  installer,
  node,
  toplevel,
  ...
}:
{
  nodes = {
    inherit installer node;
    ci = {
      imports = [ ci ];
      virtualisation.additionalPaths = [ (toplevel "next") ];
      environment.etc."cache.secret".text = (import ./cache-key.nix).secret;
    };
  };
  script = ''
    old, new = "${toplevel "node"}", "${toplevel "next"}"

    install()
    begin_publishing()
    publish(1)
    publish(2, "next")
    ci.succeed(
        f"nix store sign --recursive --key-file /etc/cache.secret {new}",
        f"nix copy --to file:///srv/site/cache {new}",
    )
    boot(node)
    pin(node)
    passes(node, "bytes")

    with subtest("it gets the new system from the cache, and boots it"):
        node.succeed(
            "nix copy --from http://192.168.1.1/cache "
            f"--option trusted-public-keys '${(import ./cache-key.nix).public}' {new} >&2",
            f"nixos-rebuild boot --store-path {new} >&2",
        )
        again(node)
        assert node.succeed("readlink --canonicalize /run/current-system").strip() == new
        assert node.succeed("cat /etc/ec-test-next") == "next\n"

    with subtest("the new generation passes, and the old one stays in the menu"):
        result = passes(node, "bytes")
        assert result["manifest"]["version"] == 2, result["manifest"]
        entries = node.succeed("grep --no-filename ^options /boot/loader/entries/*.conf")
        assert old in entries and new in entries, entries

    with subtest("back to the old one, which is known to be old"):
        node.succeed("nixos-rebuild boot --rollback >&2")
        again(node)
        assert node.succeed("readlink --canonicalize /run/current-system").strip() == old
        code, result = verify(node, "bytes")
        assert result["freshness"]["lag"] == 1, result
        assert result["verdict"] != "failed", result
  '';
}
