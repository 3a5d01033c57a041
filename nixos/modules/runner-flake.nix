# The source that a system was made from, inside that system, with everything its lock file names (P24-P28).
{ config, lib, ... }:
let
  runner = config.services.every-channel.runner;
  cfg = runner.flake;
in
{
  options.services.every-channel.runner.flake = {
    source = lib.mkOption {
      # A flake's outPath is a string, or a path where Nix is lazy about trees.
      type = lib.types.nullOr (lib.types.either lib.types.str lib.types.path);
      default = null;
      defaultText = lib.literalMD "the flake that `lib.runnerSystem` is called for";
      description = ''
        The flake whose evaluation gives this very system: `self.outPath` of the flake that lists it. It lies at
        {file}`/etc/every-channel/flake`, without a repository, and is part of the closure. A node cannot verify level
        `source` without it.
      '';
    };

    inputs = lib.mkOption {
      type = lib.types.listOf (lib.types.either lib.types.str lib.types.path);
      default = [ ];
      defaultText = lib.literalMD "every locked input, inputs of inputs included";
      description = ''
        The sources of everything that the flake's lock file names. They are part of the closure, so that a node evaluates
        without network: Nix finds each by the hash in the lock file. One that is missing leaves the node undecided.
      '';
    };
  };

  config = lib.mkIf (runner.enable && cfg.source != null) {
    environment.etc."every-channel/flake".source = cfg.source;
    system.extraDependencies = cfg.inputs;
  };
}
