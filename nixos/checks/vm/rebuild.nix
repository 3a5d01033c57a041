# A node builds again what CI built itself, from inputs that a trusted cache signed, and compares.
{
  ci,
  installer,
  node,
  systems,
  toplevel,
  ...
}:
let
  key = import ./cache-key.nix;
  built = toplevel "node";
  # Everything that building the system itself takes: it comes from the cache, as it would from an ordinary one.
  inputs = systems.node.config.system.build.toplevel.inputDerivation;
in
{
  nodes = {
    inherit installer node;
    ci = {
      imports = [ ci ];
      virtualisation.additionalPaths = [ inputs ];
      environment.etc."cache.secret".text = key.secret;
    };
  };
  script = ''
    install()
    begin_publishing()

    with subtest("the cache vouches for all but the system itself, which CI built"):
        ci.succeed(
            "nix-store --query --requisites ${built} ${inputs} | grep --invert-match --line-regexp ${built} | sort --unique "
            "| xargs nix store sign --key-file /etc/cache.secret",
            "nix-store --query --requisites ${inputs} | xargs nix copy --to file:///srv/site/cache",
        )

    publish(1)
    boot(node)
    pin(node)

    with subtest("the system was built again, and is the same"):
        result = passes(node, "rebuild")
        assert result["paths"]["${built}"] == "rebuilt", result["paths"]

    with subtest("the store holds nothing of it"):
        assert node.succeed("ls /nix/store | grep --count --fixed-strings .drv || true").strip() == "0"
  '';
}
