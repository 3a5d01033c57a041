{
  description = "A small appliance, built by a shell alone";

  # A locked input that is found in the store by its hash: the lock names what this path must hold.
  inputs.channels = {
    url = "path:/nix/store/aycg0djqfpngmxj0yfbfq919zw1lvs40-source";
    flake = false;
  };

  outputs = { self, channels }:
    let
      system = builtins.head (builtins.split "\n" (builtins.readFile ./platform));
      tools = import ./lib { inherit system; };
      appliance = import ./parts { inherit self channels tools; };
    in
    {
      nixosConfigurations.appliance.config.system.build.toplevel = appliance.toplevel;
      # What the appliance takes from others, ready-made and signed
      packages.${system} = { inherit (appliance) runtime unit-generator; };
    };
}
