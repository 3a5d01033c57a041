# The units of the verifier. Not a module: called by verify.nix.
{
  lib,
  cfg,
  # Whether the root or the store is seen through an overlay
  overlays,
}:
let
  program = lib.getExe cfg.package;
  state = "/var/lib/ec-verify";
  courier = "ec-verify";

  hardened = import ./hardened.nix;

  common = {
    Type = "oneshot";
    # 3 is undecided: a verdict, which is reported, and no failure of the unit. 1 is one, and shows in `systemctl --failed`.
    SuccessExitStatus = 3;
    UMask = "0077";
    CPUWeight = cfg.resources.cpuWeight;
    IOWeight = cfg.resources.cpuWeight;
    Nice = 10;
    OOMScoreAdjust = 500;
  };

  # The courier: the two that speak to servers, a user that owns one directory and no right besides.
  network =
    hardened
    // common
    // {
      User = courier;
      Group = courier;
      StateDirectory = "ec-verify/courier";
      StateDirectoryMode = "0755";
      CapabilityBoundingSet = "";
      PrivateUsers = true;
      RestrictAddressFamilies = [
        "AF_INET"
        "AF_INET6"
        "AF_UNIX"
      ];
      TimeoutStartSec = "15min";
    };

  # Who judges: root, whose the state directory is.
  judging = {
    StateDirectory = "ec-verify";
    StateDirectoryMode = "0711";
    RuntimeDirectory = "ec-verify";
    # Metrics are read by others.
    RuntimeDirectoryMode = "0755";
    RuntimeDirectoryPreserve = true;
  };

  # What would hide what they are there to see.
  seeing = removeAttrs hardened [
    "PrivateDevices"
    "ProcSubset"
    "ProtectProc"
    "RemoveIPC"
  ];

  # Reads everything, changes nothing, speaks to nobody.
  scan =
    seeing
    // common
    // judging
    // {
      CapabilityBoundingSet = [
        # Files and directories of others
        "CAP_DAC_READ_SEARCH"
        # What processes of others execute
        "CAP_SYS_PTRACE"
        # The files behind what they have mapped
        "CAP_CHECKPOINT_RESTORE"
      ]
      # The kernel's marks in the upper layers of an overlay
      ++ lib.optional overlays "CAP_SYS_ADMIN";
      DevicePolicy = "closed";
      IPAddressDeny = "any";
      PrivateNetwork = true;
      # What is examined is kept from garbage collectors meanwhile.
      ReadWritePaths = [
        "-/nix/var/nix/temproots"
        "-/nix/var/nix/gc.lock"
      ];
      RestrictAddressFamilies = "none";
      SystemCallFilter = [
        "@system-service"
        "~@privileged"
      ];
      TimeoutStartSec = "4h";
    };

  # Makes the ghost: mount and network namespaces, an overlay, builders with users of their own. What builders inherit is
  # what the kernel refuses them anyway: a builder that fails here and not in CI proves nothing.
  ghost =
    removeAttrs seeing [
      "LockPersonality"
      "MemoryDenyWriteExecute"
      "ProtectControlGroups"
      "ProtectHostname"
      "SystemCallArchitectures"
    ]
    // common
    // judging
    // {
      CapabilityBoundingSet = [
        "CAP_CHECKPOINT_RESTORE"
        "CAP_CHOWN"
        "CAP_DAC_OVERRIDE"
        "CAP_DAC_READ_SEARCH"
        "CAP_FOWNER"
        "CAP_KILL"
        "CAP_SETFCAP"
        "CAP_SETGID"
        "CAP_SETUID"
        "CAP_SYS_ADMIN"
        "CAP_SYS_CHROOT"
        "CAP_SYS_PTRACE"
      ];
      # The ghost has a control group of its own below the unit's (budget.memory, budget.cpu_weight).
      Delegate = true;
      DevicePolicy = "closed";
      MemoryMax = cfg.resources.memoryMax;
      PrivateMounts = true;
      # Nix takes its locks and temporary roots where garbage collectors look for them.
      ReadWritePaths = [ "/nix/var/nix" ];
      RestrictAddressFamilies = [
        "AF_UNIX"
        "AF_INET"
        "AF_INET6"
        "AF_NETLINK"
      ];
      RestrictNamespaces = [
        "cgroup"
        "ipc"
        "mnt"
        "net"
        "pid"
        "user"
        "uts"
      ];
      SystemCallFilter = [ "~@module @raw-io @reboot @swap" ];
      TasksMax = 4096;
      TimeoutStartSec = "infinity";
    };

  run = level: serviceConfig: {
    description = "Verify this node at level ${level}";
    documentation = [ "man:ec-verify(1)" ];
    wants = [ "ec-verify-fetch.service" ];
    after = [
      "ec-verify-fetch.service"
      "ec-state.service"
      "ec-provision.service"
    ];
    # Passed, failed or undecided: it is reported.
    onSuccess = [ "ec-verify-submit.service" ];
    onFailure = [ "ec-verify-submit.service" ];
    # An upgrade does not end a run that took hours.
    restartIfChanged = false;
    serviceConfig = serviceConfig // {
      # One at a time. The weekly rebuild waits for its turn; a look at the bytes that finds a longer run does not come later.
      ExecStart = "${program} run --offline --no-submit --level ${level} --quiet${
        lib.optionalString (level != "bytes") " --wait"
      }";
    };
  };

  timer = level: at: {
    description = "Verify this node at level ${level}";
    wantedBy = [ "timers.target" ];
    timerConfig = {
      OnCalendar = at;
      Persistent = true;
      RandomizedDelaySec = cfg.randomizedDelay;
      FixedRandomDelay = true;
      AccuracySec = "1min";
    };
  };

  scheduled = lib.filterAttrs (_: at: at != null) cfg.schedule;
in
{
  services = {
    ec-verify-fetch = {
      description = "Fetch the signed metadata and manifests that the next verification needs";
      documentation = [ "man:ec-verify(1)" ];
      wants = [ "network-online.target" ];
      after = [
        "network-online.target"
        "time-sync.target"
        "ec-state.service"
        "ec-provision.service"
      ];
      serviceConfig =
        network
        // {
          ExecStart = "${program} fetch --quiet";
        }
        // lib.optionalAttrs (cfg.trust.tokenFile != null) {
          LoadCredential = "release-token:${cfg.trust.tokenFile}";
        };
    };
    ec-verify-submit = {
      description = "Send the reports of verifications to the dashboard";
      documentation = [ "man:ec-verify(1)" ];
      serviceConfig = network // {
        ExecStart = "${program} submit --quiet";
      };
    };
    ec-verify-bytes = run "bytes" scan;
    ec-verify-source = run "source" ghost;
    ec-verify-rebuild = run "rebuild" ghost;
  };

  timers = lib.mapAttrs' (
    level: at: lib.nameValuePair "ec-verify-${level}" (timer level at)
  ) scheduled;

  # Who owns what is in docs/configuration.md, "[courier]"; systemd makes the rest. The set-group-ID bit gives reports to the
  # courier's group.
  tmpfiles.settings."10-ec-verify"."${state}/spool".d = {
    user = "root";
    group = courier;
    mode = "2750";
  };
}
