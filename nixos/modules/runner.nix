# The profile of an appliance: what a runner is when nothing more is said.
{ config, lib, ... }:
let
  cfg = config.services.every-channel.runner;
in
{
  imports = [
    # What it switches on, for whoever imports the profile alone
    ./ec-node.nix
    ./provision.nix
    ./verify.nix
    ./runner-flake.nix
    ./runner-overlay-root.nix
    ./runner-small.nix
    ./runner-state.nix
  ];

  options.services.every-channel.runner = {
    enable = lib.mkEnableOption "the profile of a runner: an appliance that is reached by SSH keys alone, remembers nothing by accident, and verifies itself";

    name = lib.mkOption {
      type = lib.types.nullOr (lib.types.strMatching "[a-zA-Z0-9_][a-zA-Z0-9_-]*");
      default = null;
      example = "ec-runner-x86_64";
      description = ''
        The attribute of this system under `nixosConfigurations` of the embedded flake. The verifier evaluates that
        attribute on the node; a wrong name makes every run fail, for it evaluates to another system.
        `lib.runnerSystem` sets it.
      '';
    };

    generations = lib.mkOption {
      type = lib.types.ints.between 2 100;
      default = 10;
      description = ''
        How many generations the boot menu offers. Each needs room for a kernel and an initial RAM disk on /boot; with
        fewer than two there is nothing to go back to.
      '';
    };

    keepDays = lib.mkOption {
      type = lib.types.ints.positive;
      default = 14;
      description = ''
        Generations older than so many days are deleted every week, with all that only they need. The running one and the
        one that boots next always stay.
      '';
    };
  };

  config = lib.mkIf cfg.enable {
    assertions = [
      {
        assertion = cfg.name != null;
        message = "services.every-channel.runner.name: say which attribute of nixosConfigurations this is (lib.runnerSystem does).";
      }
    ];

    services.every-channel = {
      ec-node.enable = lib.mkDefault true;
      provision.enable = lib.mkDefault true;
      verify.enable = lib.mkDefault true;
    };

    # --- what stays
    system.stateVersion = lib.mkDefault "26.05";
    services.journald = {
      storage = lib.mkDefault "volatile";
      extraConfig = lib.mkDefault "RuntimeMaxUse=64M";
    };
    systemd.coredump.enable = lib.mkDefault false;
    boot.tmp.useTmpfs = lib.mkDefault true;
    boot.loader.systemd-boot.configurationLimit = lib.mkDefault cfg.generations;
    boot.loader.generic-extlinux-compatible.configurationLimit = lib.mkDefault cfg.generations;
    # Whoever edits a command line at the console is root.
    boot.loader.systemd-boot.editor = lib.mkDefault false;
    boot.initrd.systemd.enable = true;

    nix = {
      gc = {
        automatic = lib.mkDefault true;
        dates = lib.mkDefault "weekly";
        options = lib.mkDefault "--delete-older-than ${toString cfg.keepDays}d";
      };
      channel.enable = lib.mkDefault false;
      settings = {
        experimental-features = [
          "nix-command"
          "flakes"
        ];
        allowed-users = lib.mkDefault [ "root" ];
        trusted-users = lib.mkDefault [ "root" ];
        # A builder without a sandbox makes what nobody can repeat.
        sandbox = true;
        sandbox-fallback = false;
      };
    };

    # --- who gets in
    users.mutableUsers = lib.mkDefault false;
    # Keys come with the node's own data, at run time (docs/node-data.md).
    users.allowNoPasswordLogin = lib.mkDefault true;
    services.openssh = {
      enable = lib.mkDefault true;
      settings = {
        PasswordAuthentication = false;
        KbdInteractiveAuthentication = false;
        PermitRootLogin = lib.mkDefault "prohibit-password";
        X11Forwarding = false;
        AllowAgentForwarding = lib.mkDefault false;
        AllowTcpForwarding = lib.mkDefault false;
      };
      # One modern key, where it survives: /etc is made anew at every boot.
      hostKeys = lib.mkDefault [
        {
          type = "ed25519";
          path = "/var/lib/ssh/ssh_host_ed25519_key";
        }
      ];
    };
    security.sudo.enable = lib.mkDefault false;
    security.protectKernelImage = lib.mkDefault true;

    # Stronger than what nixpkgs suggests, weaker than what a fleet says.
    boot.kernel.sysctl = lib.mapAttrs (_: lib.mkOverride 900) {
      "kernel.dmesg_restrict" = 1;
      "kernel.kptr_restrict" = 2;
      "kernel.unprivileged_bpf_disabled" = 1;
      "net.core.bpf_jit_harden" = 2;
      "kernel.yama.ptrace_scope" = 1;
      "net.ipv4.conf.all.rp_filter" = 2;
      "net.ipv4.conf.all.accept_redirects" = 0;
      "net.ipv4.conf.default.accept_redirects" = 0;
      "net.ipv6.conf.all.accept_redirects" = 0;
      "net.ipv6.conf.default.accept_redirects" = 0;
      "net.ipv4.conf.all.send_redirects" = 0;
      "fs.protected_fifos" = 2;
      "fs.protected_regular" = 2;
    };

    # --- network and time
    networking = {
      hostName = lib.mkDefault "ec-runner";
      useNetworkd = lib.mkDefault true;
      useDHCP = lib.mkDefault true;
    };
    # The machine id of a volatile root is new at every boot; an address should not be.
    systemd.network.networks."99-ethernet-default-dhcp".dhcpV4Config.ClientIdentifier =
      lib.mkDefault "mac";
    services.timesyncd.enable = lib.mkDefault true;
    time.timeZone = lib.mkDefault "UTC";
  };
}
