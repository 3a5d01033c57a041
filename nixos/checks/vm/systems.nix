# `lib.testSystems.PLATFORM`: what the tests with virtual machines install and boot. Attributes of the flake, so that a node
# evaluates its own by name, as every other does; not under `nixosConfigurations`, which nobody should install these from.
{ inputs, lib }:
let
  system =
    platform: name: modules:
    inputs.self.lib.runnerSystem {
      inherit name;
      modules = modules ++ [
        ./instrumented.nix
        {
          nixpkgs.hostPlatform = platform;
          services.every-channel.verify.settings.source.attr =
            lib.mkForce "lib.testSystems.${platform}.${name}.config.system.build.toplevel";
        }
      ];
    };
in
platform: {
  node = system platform "node" [ ../../images/disk.nix ];

  # The same, and one file more: what `node` is upgraded to.
  next = system platform "next" [
    ../../images/disk.nix
    { environment.etc."ec-test-next".text = "next\n"; }
  ];

  netboot = system platform "netboot" [ ../../images/netboot.nix ];
}
