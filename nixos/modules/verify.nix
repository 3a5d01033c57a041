# `ec-verify` on a timer, cut by rights: who speaks to the network cannot read the node's key, who reads the disk cannot
# speak to the network, and only who rebuilds may make namespaces. docs/rights.md has the table.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkOption types;
  cfg = config.services.every-channel.verify;
  # A machine that is no runner may have this module alone.
  runner = {
    name = null;
    overlayRoot.enable = false;
  }
  // (config.services.every-channel.runner or { });
  toml = pkgs.formats.toml { };
  trust = import ./trust.nix { inherit lib; };

  policy = toml.generate "policy.toml" cfg.policy;
  checked = import ./checked-toml.nix { inherit pkgs; } {
    name = "verify.toml";
    inherit (cfg) settings;
    program = pkgs.buildPackages.ec-verify;
    check = "ec-verify config check";
  };

  units = import ./verify-units.nix {
    inherit lib cfg;
    overlays =
      lib.any (fs: fs.fsType == "overlay") (lib.attrValues config.fileSystems)
      || runner.overlayRoot.enable;
  };
in
{
  options.services.every-channel.verify = {
    enable = lib.mkEnableOption "the verifier: it compares this node's disk, its source and its own rebuild with what CI signed";

    package = lib.mkPackageOption pkgs "ec-verify" { };

    trust = trust.options ''
      The pinned TUF root: everything that is believed follows from it, and it is part of the image. Without it every
      run ends undecided (`EV113`), whatever the disk holds. Never the root of the demonstration: its keys are public.
    '';

    dashboard = mkOption {
      type = types.nullOr (types.strMatching "https?://[^[:space:]@?#]+[^/]");
      default = null;
      example = "https://dashboard.example.org";
      description = ''
        Where reports are sent. The node's own data may name another. Null, and nothing in the node's data: reports stay on
        the node.
      '';
    };

    policy = mkOption {
      inherit (toml) type;
      default = { };
      example = lib.literalExpression ''{ level = "source"; max_release_age_days = 60; }'';
      description = ''
        What this fleet accepts, see docs/policy.md. It is checked when the system is built, and its digest is in every
        report. Part of the closure: a node that is told to accept more runs another toplevel, which CI must have signed.
      '';
    };

    settings = mkOption {
      type = types.submodule { freeformType = toml.type; };
      default = { };
      example = lib.literalExpression ''{ budget = { time = 3600; disk = "20G"; }; }'';
      description = ''
        {file}`verify.toml`, see docs/configuration.md; checked when the system is built. What other options of this module
        say is there already. Files with secrets are named, never written here: the store is readable by everybody.
      '';
    };

    schedule = mkOption {
      type = types.submodule {
        options =
          lib.mapAttrs
            (
              level: default:
              mkOption {
                type = types.nullOr (types.strMatching ".+");
                inherit default;
                description = "When level `${level}` is verified (systemd.time(7)); null: never by itself.";
              }
            )
            {
              bytes = "*-*-* 00/6:00:00";
              source = "daily";
              rebuild = "weekly";
            };
      };
      default = { };
      description = ''
        How often each level is verified. What a level costs: `bytes` reads what changed and a thirtieth of the rest,
        `source` evaluates the flake (a minute and up to two GiB of memory), `rebuild` builds again whatever CI built.
      '';
    };

    randomizedDelay = mkOption {
      type = types.strMatching "[0-9]+(s|min|h)";
      default = "30min";
      description = "Runs start up to so much later, differently on each node, so that a fleet does not ask the release server at once.";
    };

    resources = {
      cpuWeight = mkOption {
        type = types.ints.between 1 10000;
        default = 20;
        description = "How much of the processors and devices the verifier gets beside others, who have 100. A broadcast must not lose a frame.";
      };
      memoryMax = mkOption {
        type = types.strMatching "[1-9][0-9]*(%|[KMG])";
        default = "75%";
        description = "The most memory that rebuilding, with the builders that it starts, may have. Beyond it, builders are ended and the run is undecided.";
      };
    };
  };

  config = lib.mkIf cfg.enable {
    assertions = trust.assertions "services.every-channel.verify.trust" cfg.trust;

    services.every-channel.verify.settings = lib.mkMerge [
      {
        policy = "${policy}";
        # The evaluator is the one of this closure: other releases of Nix hash sources differently (P28).
        nix.program = lib.getExe config.nix.package;
        nix.substituters = lib.mkDefault config.nix.settings.substituters;
        report.textfile = lib.mkDefault "/run/ec-verify/metrics.prom";
      }
      (lib.mkIf (runner.name != null) {
        source.attr = "nixosConfigurations.${runner.name}.config.system.build.toplevel";
      })
      (trust.settings "ec-verify-fetch" cfg.trust)
      (lib.mkIf (cfg.dashboard != null) { report.url = cfg.dashboard; })
    ];

    environment.systemPackages = [ cfg.package ];
    environment.etc."ec-verify/verify.toml".source = checked;

    users.users.ec-verify = {
      isSystemUser = true;
      group = "ec-verify";
      description = "Fetches signed metadata and sends reports";
    };
    users.groups.ec-verify = { };

    systemd = { inherit (units) services timers tmpfiles; };
  };
}
