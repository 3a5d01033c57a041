# The publisher: one unit for each broadcast of this node's own data. docs/ec-node.md says what a broadcast is.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkOption types;
  cfg = config.services.every-channel.ec-node;
  inherit (config.services.every-channel) provision;
  toml = pkgs.formats.toml { };
  noSecret = import ./no-secret.nix { inherit lib; };
  broadcasts = "/run/every-channel/broadcasts";

  checked = import ./checked-toml.nix { inherit pkgs; } {
    name = "ec-node.toml";
    inherit (cfg) settings;
    program = pkgs.buildPackages.ec-node;
    check = "ec-node check --config";
  };

  units = import ./ec-node-units.nix {
    inherit
      lib
      pkgs
      cfg
      broadcasts
      ;
    groups = lib.optional provision.enable provision.group;
    after = lib.optional provision.enable "ec-provision.service";
    systemd = config.systemd.package;
  };
in
{
  options.services.every-channel.ec-node = {
    enable = lib.mkEnableOption "publishing the broadcasts that this node's own data describes. Without any, nothing runs";

    package = lib.mkPackageOption pkgs "ec-node" { };

    settings = mkOption {
      type = types.submodule { freeformType = toml.type; };
      default = { };
      example = lib.literalExpression ''{ archive.directory = "/var/lib/ec-node/archive"; }'';
      description = ''
        {file}`ec-node.toml`, the same for all broadcasts of this node, see docs/ec-node.md; checked when the system is
        built. The store is readable by everybody: secrets belong into {option}`credentials`. Directories must lie below
        {file}`/var/lib/ec-node` or {file}`/run/ec-node`: nothing else can be written to.
      '';
    };

    credentials = mkOption {
      type = types.attrsOf (types.strMatching "/.+");
      default = { };
      example = {
        origin-token = "/run/keys/origin-token";
      };
      description = ''
        Files outside the store, each with the token of another origin, by the names that broadcasts use for them
        (`push.credential`). Every broadcast of this node can read all of them; a file that is missing keeps broadcasts from
        starting.
      '';
    };

    openPorts = mkOption {
      type = types.listOf types.port;
      default = [ ];
      example = [ 8104 ];
      description = ''
        TCP ports that the firewall lets through, for broadcasts that are watched without a web server in front
        (`hls.port`, with `settings.origin.address`). There is no TLS, and whoever gets there reads the metrics, too.
      '';
    };

    discovery = mkOption {
      type = types.bool;
      default = false;
      description = ''
        Whether tuners can be named by their device ids. They are asked for by broadcast, and the firewall must let their
        answers in: it accepts UDP datagrams from port 65001, which anybody on this network can send, to ports that no
        service has. Tuners that are named by their addresses need none of this.
      '';
    };

    resources = {
      cpuWeight = mkOption {
        type = types.ints.between 1 10000;
        default = 1000;
        description = ''
          How much of the processors and devices broadcasts get beside everything else, which has 100. A broadcast that
          waits for a processor loses frames: lower it only where something else matters more.
        '';
      };
      memoryMax = mkOption {
        type = types.strMatching "[1-9][0-9]*(%|[KMG])";
        default = "2G";
        description = ''
          The most memory of one broadcast, the segments that it keeps included. Beyond it, the broadcast is ended and begins
          again: viewers see a gap.
        '';
      };
    };
  };

  config = lib.mkIf cfg.enable {
    assertions = lib.mapAttrsToList (
      name: noSecret "services.every-channel.ec-node.credentials.${name}"
    ) cfg.credentials;

    services.every-channel.ec-node.settings.origin.sockets = lib.mkDefault "/run/ec-node";

    environment.systemPackages = [ cfg.package ];
    environment.etc."ec-node/ec-node.toml".source = checked;

    users.users.ec-node = {
      isSystemUser = true;
      group = "ec-node";
      description = "Publishes broadcasts";
    };
    # A web server in front is a member, to reach the sockets.
    users.groups.ec-node = { };

    networking.firewall = {
      allowedTCPPorts = cfg.openPorts;
      extraInputRules = lib.mkIf cfg.discovery ''
        udp sport 65001 udp dport 32768-60999 accept comment "answers of tuners"
      '';
      extraCommands = lib.mkIf (cfg.discovery && !config.networking.nftables.enable) ''
        iptables -A nixos-fw -p udp --sport 65001 --dport 32768:60999 -j nixos-fw-accept
      '';
    };

    systemd = { inherit (units) services slices; };
  };
}
