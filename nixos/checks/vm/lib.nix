# What the tests with virtual machines share: machines, and words for their scripts.
#
#   ci         has the flake's source and everything that it evaluates to, signs and publishes, serves releases and
#              addresses (192.168.1.1: nodes are numbered by name, and this one comes first)
#   installer  makes a runner out of the disk that it shares with `node`, and is shut down
#   node       boots from that disk, by firmware and boot loader like a machine on a desk
{
  inputs,
  system,
  lib,
  pkgs,
  ...
}:
let
  systems = inputs.self.lib.testSystems.${system};
  toplevel = name: systems.${name}.config.system.build.toplevel;
  source = "${inputs.self}";
  sources = [ source ] ++ inputs.self.lib.lockedSources inputs.self;

  sharedDisk.virtualisation = {
    diskImage = "./target.qcow2";
    diskSize = 16 * 1024;
    memorySize = 3072;
    cores = 2;
    useEFIBoot = true;
  };

  # Words for scripts. `machine` parameters keep several nodes apart.
  installing = ''
    import shutil


    def install(*arguments, toplevel="${toplevel "node"}"):
        """Make a runner out of the shared disk."""
        installer.start()
        installer.wait_for_unit("multi-user.target")
        installer.succeed(f"ec-install --disk /dev/vda --system {toplevel} --yes {' '.join(arguments)} >&2")
        installer.shutdown()


    def boot(machine):
        """Start a machine from the disk that was installed."""
        if not (machine.state_dir / "target.qcow2").exists():
            shutil.copy(installer.state_dir / "target.qcow2", machine.state_dir / "target.qcow2")
        machine.start()
        machine.wait_for_unit("multi-user.target")


    def again(machine):
        """Switch off and on, and wait until the machine is there."""
        machine.shutdown()
        machine.start()
        machine.wait_for_unit("multi-user.target")

  '';

  publishing = ''
    import json

    SOURCE = "${source}"
    ZERO = "0" * 40


    def attribute(name):
        return f"lib.testSystems.${system}.{name}.config.system.build.toplevel"


    def begin_publishing():
        """Make keys and an empty repository on the machine that publishes."""
        ci.start()
        ci.wait_for_unit("multi-user.target")
        ci.succeed("ec-release trust init --directory /srv/site --keys /srv/keys >&2")


    def publish(version, name="node", called=None, assets=""):
        """Evaluate, describe, sign and publish one system as a release."""
        called = called or name
        ci.succeed(
            f"ec-release closure --flake {SOURCE} --rev {ZERO} --issued 1700000000 --attr {attribute(name)} "
            f"--name {called} --tag boot-v{version} --version {version} --output /srv/{called}.closure.json.zst "
            "--trusted-public-key ${(import ./cache-key.nix).public} >&2",
            f"ec-release publish --directory /srv/site --keys /srv/keys --tag boot-v{version} --version {version} "
            f"--closure /srv/{called}.closure.json.zst {assets} >&2",
        )


    def pin(machine):
        """Put the root of the keys where the node looks for it."""
        root = ci.succeed("base64 --wrap=0 /srv/keys/root.json").strip()
        machine.succeed(
            "mkdir -p /var/lib/every-channel",
            f"echo {root} | base64 --decode > /var/lib/every-channel/root.json",
        )


    def verify(machine, level):
        """Fetch what is signed and verify: the exit code and the result."""
        machine.succeed("systemctl start network-online.target", "systemctl start ec-verify-fetch.service")
        code, said = machine.execute(f"ec-verify run --offline --no-submit --wait --level {level} --quiet --json")
        return code, json.loads(said)


    def passes(machine, level):
        """Demand that a node is what CI signed, up to a level."""
        code, result = verify(machine, level)
        serious = [one for one in result["findings"] if one["severity"] != "info"]
        assert (code, result["verdict"], result["levelReached"], serious) == (0, "passed", level, []), result
        return result


    def fails(machine, level, finding):
        """Demand that a node fails, for this reason."""
        code, result = verify(machine, level)
        failing = {one["code"] for one in result["findings"] if one["severity"] == "fail"}
        assert code == 1 and result["verdict"] == "failed" and finding in failing, result
        return result
  '';
in
{
  inherit systems toplevel sources;

  ci =
    { lib, pkgs, ... }:
    {
      virtualisation = {
        diskSize = 16 * 1024;
        memorySize = 4096;
        cores = 2;
        additionalPaths = sources ++ [ (toplevel "node") ];
      };
      environment.systemPackages = [
        pkgs.ec-release
        pkgs.git
      ];
      nix.settings = {
        experimental-features = [
          "nix-command"
          "flakes"
        ];
        substituters = lib.mkForce [ ];
      };
      networking.firewall.enable = false;
      systemd.tmpfiles.rules = [ "d /srv/site 0755 root root" ];
      services.nginx = {
        enable = true;
        virtualHosts.ci = {
          default = true;
          root = "/srv/site";
        };
      };
      services.dnsmasq = {
        enable = true;
        settings = {
          port = 0;
          interface = "eth1";
          bind-dynamic = true;
          dhcp-range = "192.168.1.100,192.168.1.199,1h";
        };
      };
    };

  installer =
    { pkgs, ... }:
    {
      imports = [ sharedDisk ];
      virtualisation = {
        # Its own root is small, and second: the disk that is installed is /dev/vda here and later.
        emptyDiskImages = [ 1024 ];
        rootDevice = "/dev/vdb";
        fileSystems."/".autoFormat = true;
        additionalPaths = [ (toplevel "node") ];
      };
      boot.initrd.systemd.enable = true;
      environment.systemPackages = [ pkgs.ec-install ];
    };

  node =
    { lib, ... }:
    {
      imports = [ sharedDisk ];
      # Nothing of this configuration is booted: what is on the disk is. No file systems of it may be made.
      virtualisation = {
        directBoot.enable = false;
        useBootLoader = false;
        useDefaultFilesystems = false;
        efi.keepVariables = false;
        fileSystems."/" = {
          device = "/dev/disk/by-label/never-used";
          fsType = "ext4";
        };
      };
      boot.loader.grub.enable = lib.mkForce false;
    };

  # A test: its machines, and its script after the common words.
  test =
    name:
    { nodes, script }:
    pkgs.testers.runNixOSTest {
      name = "ec-${name}";
      inherit nodes;
      # Types of machines that only some tests have cannot be told to the type checker.
      skipTypeCheck = true;
      globalTimeout = 3600;
      testScript =
        lib.optionalString (nodes ? installer) installing
        + lib.optionalString (nodes ? ci) publishing
        + script;
    };
}
