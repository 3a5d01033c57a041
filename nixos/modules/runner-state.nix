# For systems without a persistent /var: a partition that keeps who a node is.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  runner = config.services.every-channel.runner;
  label = runner.stateLabel;
  mounted = "/run/every-channel/state";
  # What is kept, and who may look into it
  kept = {
    "ec-verify" = "/var/lib/ec-verify";
    "ssh" = "/var/lib/ssh";
  };
in
{
  options.services.every-channel.runner.stateLabel = lib.mkOption {
    type = lib.types.nullOr (lib.types.strMatching "[A-Za-z0-9_-]{1,11}");
    default = null;
    example = "EC-STATE";
    description = ''
      The label of a file system that keeps the node's key, its counters, what it knows of releases, and SSH's host keys,
      where `/var` itself is gone at every boot. Where no disk has it, the node starts all the same: as somebody new, with
      protection against old releases since that boot only, and its reports say so.
    '';
  };

  config = lib.mkIf (runner.enable && label != null) {
    # The device starts the unit whenever it appears; a machine that has none waits for nothing.
    services.udev.extraRules = ''
      SUBSYSTEM=="block", ENV{ID_FS_LABEL}=="${label}", TAG+="systemd", ENV{SYSTEMD_WANTS}+="ec-state.service"
    '';

    systemd.services.ec-state = {
      description = "Keep the node's identity on the file system ${label}";
      unitConfig.DefaultDependencies = false;
      after = [
        "systemd-udevd.service"
        "local-fs.target"
      ];
      before = [
        "shutdown.target"
        "sshd.service"
        "sshd-keygen.service"
      ];
      conflicts = [ "shutdown.target" ];
      path = [ pkgs.util-linux ];
      serviceConfig = {
        Type = "oneshot";
        RemainAfterExit = true;
      };
      script = ''
        mkdir -p -m 0700 ${mounted}
        mount -o nosuid,nodev,noexec /dev/disk/by-label/${label} ${mounted}
      ''
      + lib.concatStrings (
        lib.mapAttrsToList (name: path: ''
          mkdir -p -m 0755 ${mounted}/${name} ${path}
          mount --bind ${mounted}/${name} ${path}
        '') kept
      );
    };
  };
}
