# The units of the boot server, cut by rights.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  cfg = config.services.every-channel.netboot;
  state = "/var/lib/ec-netboot";
  user = "ec-netboot";
  program = lib.getExe cfg.package;
  tftp = cfg.tftp.enable || cfg.proxyDhcp.enable;

  common = import ./hardened.nix // {
    User = user;
    Group = user;
    UMask = "0022";
  };
  without = common // {
    CapabilityBoundingSet = "";
    AmbientCapabilities = "";
    PrivateUsers = true;
    RestrictAddressFamilies = [
      "AF_INET"
      "AF_INET6"
      "AF_UNIX"
    ];
  };
  http =
    if cfg.port < 1024 then
      without
      // {
        # A capability in a user namespace of the unit's own would be none over the machine's ports.
        PrivateUsers = false;
        AmbientCapabilities = [ "CAP_NET_BIND_SERVICE" ];
        CapabilityBoundingSet = [ "CAP_NET_BIND_SERVICE" ];
      }
    else
      without;
  firmware = common // {
    # ProxyDHCP answers machines that have no address yet, on ports 67 and 4011; TFTP is port 69.
    AmbientCapabilities = [
      "CAP_NET_BIND_SERVICE"
    ]
    ++ lib.optionals cfg.proxyDhcp.enable [
      "CAP_NET_ADMIN"
      "CAP_NET_RAW"
    ];
    CapabilityBoundingSet = [
      "CAP_NET_BIND_SERVICE"
    ]
    ++ lib.optionals cfg.proxyDhcp.enable [
      "CAP_NET_ADMIN"
      "CAP_NET_RAW"
    ];
    RestrictAddressFamilies = [
      "AF_INET"
      "AF_INET6"
      "AF_NETLINK"
      "AF_UNIX"
    ]
    ++ lib.optional cfg.proxyDhcp.enable "AF_PACKET";
    IPAddressAllow = cfg.allowedCIDRs ++ [
      "0.0.0.0/32"
      "255.255.255.255/32"
    ];
    IPAddressDeny = "any";
  };
in
{
  config = lib.mkIf cfg.enable {
    systemd.services = {
      ec-netboot-stage = {
        description = "Stage the boot image of the newest release";
        wantedBy = [ "multi-user.target" ];
        wants = [ "network-online.target" ];
        after = [
          "network-online.target"
          "time-sync.target"
        ];
        restartTriggers = [ config.environment.etc."ec-netboot/netboot.toml".source ];
        serviceConfig =
          without
          // {
            Type = "oneshot";
            ExecStart = "${program} stage";
            ReadWritePaths = [ state ];
            Nice = 10;
            # A line that is slow, and an image of a GiB.
            TimeoutStartSec = "2h";
          }
          // lib.optionalAttrs (cfg.release.tokenFile != null) {
            LoadCredential = "release-token:${cfg.release.tokenFile}";
          };
      };

      ec-netboot = {
        description = "Serve boot images";
        wantedBy = [ "multi-user.target" ];
        wants = [ "network-online.target" ];
        after = [ "network-online.target" ];
        restartTriggers = [ config.environment.etc."ec-netboot/netboot.toml".source ];
        serviceConfig =
          http
          // {
            Type = "notify";
            ExecStart = "${program} serve --only http";
            ExecReload = "${lib.getExe' pkgs.coreutils "kill"} -HUP $MAINPID";
            Restart = "on-failure";
            RestartSec = 5;
            # Hashing what is staged comes before the first answer.
            TimeoutStartSec = "10min";
            ReadOnlyPaths = [ state ];
            LimitNOFILE = 4096;
          }
          // lib.optionalAttrs (cfg.chainTokenFile != null) {
            LoadCredential = "chain-token:${cfg.chainTokenFile}";
          };
      };
    }
    // lib.optionalAttrs tftp {
      ec-netboot-boot = {
        description = "Offer iPXE to firmware: TFTP${lib.optionalString cfg.proxyDhcp.enable " and ProxyDHCP"}";
        wantedBy = [ "multi-user.target" ];
        wants = [ "network-online.target" ];
        after = [ "network-online.target" ];
        restartTriggers = [ config.environment.etc."ec-netboot/netboot.toml".source ];
        serviceConfig =
          firmware
          // {
            Type = "notify";
            ExecStart = "${program} serve --only boot";
            Restart = "on-failure";
            RestartSec = 5;
            RuntimeDirectory = "ec-netboot";
          }
          # It stands in the address that ProxyDHCP tells.
          // lib.optionalAttrs (cfg.chainTokenFile != null && cfg.proxyDhcp.enable) {
            LoadCredential = "chain-token:${cfg.chainTokenFile}";
          };
      };
    };

    systemd.timers = lib.mkIf (cfg.release.schedule != null && cfg.release.tarball == null) {
      ec-netboot-stage = {
        description = "Look for a newer release";
        wantedBy = [ "timers.target" ];
        timerConfig = {
          OnCalendar = cfg.release.schedule;
          RandomizedDelaySec = "15min";
          Persistent = true;
        };
      };
    };
  };
}
