# The units of the verifier. Not a module: called by verify.nix.
{
  lib,
  cfg,
  package,
}:
let
  program = lib.getExe cfg.package;
  state = "/var/lib/ec-verify";
  courier = "ec-verify";

  # What none of them needs. `@system-service` and W^X are left to each: builders inherit them.
  common = {
    Type = "oneshot";
    # 3 is undecided: a verdict, which is reported, and no failure of the unit. 1 is one, and shows in `systemctl --failed`.
    SuccessExitStatus = 3;
    UMask = "0077";
    NoNewPrivileges = true;
    KeyringMode = "private";
    LockPersonality = true;
    RestrictRealtime = true;
    RestrictSUIDSGID = true;
    ProtectClock = true;
    ProtectHostname = true;
    ProtectKernelLogs = true;
    ProtectKernelModules = true;
    ProtectKernelTunables = true;
    ProtectControlGroups = true;
    PrivateTmp = true;
    ProtectHome = true;
    ProtectSystem = "strict";
    CPUWeight = cfg.resources.cpuWeight;
    IOWeight = cfg.resources.cpuWeight;
    Nice = 10;
    OOMScoreAdjust = 500;
  };

  # The courier: the two that speak to servers, a user that owns one directory and no right besides.
  network = common // {
    User = courier;
    Group = courier;
    ReadWritePaths = [ "${state}/courier" ];
    CapabilityBoundingSet = "";
    AmbientCapabilities = "";
    MemoryDenyWriteExecute = true;
    PrivateDevices = true;
    PrivateUsers = true;
    ProcSubset = "pid";
    ProtectProc = "invisible";
    RemoveIPC = true;
    RestrictAddressFamilies = [
      "AF_INET"
      "AF_INET6"
      "AF_UNIX"
    ];
    RestrictNamespaces = true;
    SystemCallArchitectures = "native";
    SystemCallFilter = [
      "@system-service"
      "~@privileged"
      "~@resources"
    ];
    SystemCallErrorNumber = "EPERM";
    TimeoutStartSec = "15min";
  };

  # Who judges: root, for whom the state directory is.
  runs = common // {
    ReadWritePaths = [ state ];
    RuntimeDirectory = "ec-verify";
    # Metrics are read by others.
    RuntimeDirectoryMode = "0755";
    RuntimeDirectoryPreserve = true;
  };

  # Reads everything, changes nothing, speaks to nobody.
  scan = runs // {
    CapabilityBoundingSet = [
      # Files that root does not own
      "CAP_DAC_READ_SEARCH"
      # What processes of others execute
      "CAP_SYS_PTRACE"
    ];
    # The self-test plants a set-user-ID bit in a scratch copy, and must be allowed to.
    RestrictSUIDSGID = false;
    MemoryDenyWriteExecute = true;
    PrivateNetwork = true;
    IPAddressDeny = "any";
    RestrictAddressFamilies = "none";
    RestrictNamespaces = true;
    SystemCallArchitectures = "native";
    SystemCallFilter = [
      "@system-service"
      "~@privileged"
    ];
    SystemCallErrorNumber = "EPERM";
    DevicePolicy = "closed";
    TimeoutStartSec = "4h";
  };

  # Makes the ghost: mount and network namespaces, an overlay, builders with users of their own. No filter of system
  # calls and no W^X: builders would inherit them, and a builder that fails here and not in CI proves nothing.
  ghost = runs // {
    CapabilityBoundingSet = [
      "CAP_CHOWN"
      "CAP_DAC_OVERRIDE"
      "CAP_DAC_READ_SEARCH"
      "CAP_FOWNER"
      "CAP_FSETID"
      "CAP_KILL"
      "CAP_MKNOD"
      "CAP_NET_ADMIN"
      "CAP_SETGID"
      "CAP_SETPCAP"
      "CAP_SETUID"
      "CAP_SYS_ADMIN"
      "CAP_SYS_CHROOT"
      "CAP_SYS_PTRACE"
    ];
    NoNewPrivileges = false;
    RestrictSUIDSGID = false;
    RestrictRealtime = false;
    # The ghost has a control group of its own below the unit's (budget.memory, budget.cpu_weight).
    Delegate = true;
    ProtectControlGroups = false;
    ProtectKernelTunables = false;
    MemoryMax = cfg.resources.memoryMax;
    # Nix takes its locks and temporary roots where garbage collectors look for them.
    ReadWritePaths = [
      state
      "/nix/var/nix"
    ];
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
    path = lib.optionals (level != "bytes") [ package ];
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

  # Who owns what is in docs/configuration.md, "[courier]". The set-group-ID bit gives reports to the courier's group.
  tmpfiles.settings."10-ec-verify" = {
    ${state}.d = {
      user = "root";
      group = "root";
      mode = "0711";
    };
    "${state}/courier".d = {
      user = courier;
      group = courier;
      mode = "0755";
    };
    "${state}/spool".d = {
      user = "root";
      group = courier;
      mode = "2750";
    };
  };
}
