# A node's own data, applied at boot: what differs between nodes of one system. docs/node-data.md says what and from where.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkOption types;
  cfg = config.services.every-channel.provision;
  directory = "/run/every-channel";
  hardened = import ./hardened.nix;
  device = "/dev/disk/by-label/EC-NODE";
  udevadm = "${config.systemd.package}/bin/udevadm";
in
{
  options.services.every-channel.provision = {
    enable = lib.mkEnableOption "reading this node's own data at boot: name, SSH keys of root, dashboard and broadcasts. Whoever can write them decides who is root here";

    package = lib.mkPackageOption pkgs "ec-provision" { };

    group = mkOption {
      type = types.strMatching "[a-z_][a-z0-9_-]{0,30}";
      default = "ec-broadcasts";
      description = ''
        The group that may read {file}`/run/every-channel/broadcasts`, and is made for this. Descriptions of broadcasts may
        hold keys of services elsewhere: only who publishes should be a member.
      '';
    };

    deadline = mkOption {
      type = types.ints.between 1 3600;
      default = 90;
      example = 300;
      description = ''
        Seconds to wait for the address of the kernel parameter `ec.node`, the network's start included. SSH, the verifier
        and broadcasts wait, too; afterwards the unit fails, and the node comes up without its data.
      '';
    };

    partition = {
      enable = mkOption {
        type = types.bool;
        default = true;
        description = ''
          Whether a file system labelled `EC-NODE` is looked at while the machine boots. Whoever can plug in a disk decides
          who is root: turn it off where machines stand in the open and get their data elsewhere.
        '';
      };

      wait = mkOption {
        type = types.ints.between 0 300;
        default = 0;
        example = 15;
        description = ''
          Seconds to wait for such a disk to appear. With 0, what the machine has noticed by then counts, and nothing is
          waited for. Where every node has a stick, and controllers are slow, a few seconds make sure of it; nodes without one
          let nobody in before they have passed.
        '';
      };
    };
  };

  config = lib.mkIf cfg.enable {
    environment.systemPackages = [ cfg.package ];
    users.groups.${cfg.group} = { };

    # Beside what the system itself says, of which CI knows.
    services.openssh.authorizedKeysFiles = [ "${directory}/ssh/%u" ];

    systemd.tmpfiles.settings."10-ec-provision" = {
      ${directory}.d = {
        user = "root";
        group = "root";
        mode = "0755";
      };
      "/var/lib/every-channel".d = {
        user = "root";
        group = "root";
        mode = "0700";
      };
    };

    systemd.services.ec-provision = {
      description = "Apply this node's own data";
      documentation = [ "man:ec-provision(1)" ];
      wantedBy = [ "multi-user.target" ];
      # Other data, other broadcasts: who starts them looks again whenever data were applied.
      wants = [ "ec-node-broadcasts.service" ];
      # No network-online.target: only where there is an address to fetch does the program wait for the network.
      before = [
        "sshd.service"
        "sshd.socket"
        "timers.target"
      ];
      serviceConfig =
        # It sets the host name, looks at disks, and reads the kernel's command line.
        removeAttrs hardened [
          "PrivateDevices"
          "ProcSubset"
          "ProtectHostname"
        ]
        // {
          Type = "oneshot";
          RemainAfterExit = true;
          ExecStart = "${lib.getExe cfg.package} apply --group ${cfg.group} --deadline ${toString cfg.deadline}";
          TimeoutStartSec = cfg.deadline + cfg.partition.wait + 180;
          ImportCredential = "node.toml";

          # The host name, files of others on a stick, and the group of broadcasts
          CapabilityBoundingSet = [
            "CAP_SYS_ADMIN"
            "CAP_DAC_READ_SEARCH"
            "CAP_CHOWN"
          ];
          ReadWritePaths = [ directory ];
          UMask = "0077";
          RestrictAddressFamilies = [
            "AF_INET"
            "AF_INET6"
            "AF_NETLINK"
            "AF_UNIX"
          ];
          SystemCallFilter = hardened.SystemCallFilter ++ [
            "@chown"
            "sethostname"
          ];
        }
        // lib.optionalAttrs cfg.partition.enable {
          # Ends when every device that the kernel has found was looked at: at once, unless the machine is very slow. A
          # stick that is missed means that nobody gets in, so the limit is generous.
          ExecStartPre = [
            "-+${udevadm} settle --timeout=120"
          ]
          ++ lib.optional (
            cfg.partition.wait > 0
          ) "-+${udevadm} wait --timeout=${toString cfg.partition.wait} ${device}";
          # In the unit's own namespace, and nowhere if there is no such disk.
          MountImages = "-${device}:/run/ec-node-partition:root:ro,nosuid,nodev,noexec";
        };
    };
  };
}
