# runnerSystem { name; modules; flake ? ec-runner itself; }: one NixOS system that carries the flake it is made from.
#
# name     its attribute under `nixosConfigurations` of *flake*: the verifier evaluates that attribute on the node.
# modules  what the system is made of; ours are there already.
# flake    the flake (`self`) whose source is embedded. A fleet that lists its own systems gives its own.
{ inputs }:
{
  name,
  modules,
  flake ? inputs.self,
}:
inputs.nixpkgs.lib.nixosSystem {
  modules = [
    inputs.self.nixosModules.default
    {
      services.every-channel.runner = {
        inherit name;
        flake = {
          source = flake.outPath;
          inputs = inputs.self.lib.lockedSources flake;
        };
      };
    }
  ]
  ++ modules;
}
