# The units of the publisher. Not a module: called by ec-node.nix.
{
  lib,
  pkgs,
  cfg,
  broadcasts,
  groups,
  after,
  systemd,
}:
let
  program = lib.getExe cfg.package;

  common = import ./hardened.nix // {
    CapabilityBoundingSet = "";
    UMask = "0027";
    DevicePolicy = "closed";
  };

  # Starts what there is a file for, ends what there is none for any more, and has the others look at theirs again.
  start = pkgs.writeShellScript "ec-node-broadcasts" ''
    set -eu
    shopt -s nullglob
    wanted=()
    for file in ${broadcasts}/*.toml; do
      name=''${file##*/}
      wanted+=("ec-node@''${name%.toml}.service")
    done
    while read -r unit _; do
      [[ -z $unit || " ''${wanted[*]} " == *" $unit "* ]] || ${systemd}/bin/systemctl stop --no-block -- "$unit"
    done < <(${systemd}/bin/systemctl list-units --plain --no-legend --all 'ec-node@*.service')
    [[ ''${#wanted[@]} -eq 0 ]] || ${systemd}/bin/systemctl reload-or-restart --no-block -- "''${wanted[@]}"
  '';
in
{
  # A slice of its own beside system.slice: inside that, a template's slice would share the weight of one service.
  slices.ec-node = {
    description = "Broadcasts";
    sliceConfig = {
      CPUWeight = cfg.resources.cpuWeight;
      IOWeight = cfg.resources.cpuWeight;
    };
  };

  services."ec-node@" = {
    description = "Broadcast %i";
    after = after ++ [ "network.target" ];
    # It comes back for as long as it is wanted; how often is for RestartSteps to say.
    startLimitIntervalSec = 0;
    unitConfig.ConditionPathExists = "${broadcasts}/%i.toml";
    serviceConfig = common // {
      Type = "notify-reload";
      ExecStart = "${program} publish --broadcast ${broadcasts}/%i.toml --config /etc/ec-node/ec-node.toml";
      Slice = "ec-node.slice";
      User = "ec-node";
      Group = "ec-node";
      SupplementaryGroups = groups;
      StateDirectory = "ec-node";
      StateDirectoryMode = "0750";
      RuntimeDirectory = "ec-node";
      RuntimeDirectoryMode = "0750";
      # Others have their sockets there.
      RuntimeDirectoryPreserve = true;
      LoadCredential = lib.mapAttrsToList (name: file: "${name}:${file}") cfg.credentials;

      Restart = "always";
      RestartSec = 1;
      RestartSteps = 8;
      RestartMaxDelaySec = 60;
      # Above the time that it gives itself for a first segment, tuner and probe included
      TimeoutStartSec = 150;
      TimeoutStopSec = 20;
      WatchdogSec = 30;
      KillMode = "mixed";

      Nice = -5;
      OOMScoreAdjust = -200;
      MemoryMax = cfg.resources.memoryMax;
      LimitNOFILE = 65536;

      PrivateUsers = true;
      RestrictAddressFamilies = [
        "AF_INET"
        "AF_INET6"
        "AF_UNIX"
      ];
    };
  };

  # Root only because systemd listens to no other; it has no capability, no network and writes nothing.
  services.ec-node-broadcasts = {
    description = "Start the broadcasts of this node";
    wantedBy = [ "multi-user.target" ];
    after = after ++ [ "network.target" ];
    # When other data are applied it looks again, also when none is left: the last broadcast must end, too.
    partOf = after;
    restartTriggers = [ cfg.package ];
    serviceConfig = common // {
      Type = "oneshot";
      RemainAfterExit = true;
      ExecStart = start;
      PrivateNetwork = true;
      IPAddressDeny = "any";
      RestrictAddressFamilies = "AF_UNIX";
      TimeoutStartSec = 60;
    };
  };
}
