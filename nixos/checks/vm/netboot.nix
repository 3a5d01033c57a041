# A machine without a disk starts by iPXE from our own server, which serves what CI signed and nothing else, and proves
# that it runs it.
{
  ci,
  system,
  systems,
  toplevel,
  lib,
  pkgs,
  ...
}:
let
  platform = lib.removeSuffix "-linux" system;
  x86 = platform == "x86_64";
  name = "ec-runner-${platform}-netboot";
  inherit (systems.netboot.config.system.build) netboot;
in
{
  nodes = {
    ci = {
      imports = [ ci ];
      virtualisation.additionalPaths = [
        netboot
        (toplevel "netboot")
      ];
    };

    server = {
      imports = [ ../../modules/netboot.nix ];
      virtualisation = {
        diskSize = 16 * 1024;
        memorySize = 2048;
      };
      services.every-channel.netboot = {
        enable = true;
        platforms = [ platform ];
        release = {
          # As in ./instrumented.nix: made when the test runs.
          root = "/var/lib/root.json";
          metadataBase = "http://192.168.1.1/download/trust/";
          targetBase = "http://192.168.1.1/download/";
          schedule = null;
        };
        interface = "eth1";
        openFirewall = true;
        tftp = {
          enable = true;
          # `server` is the third by name, after `ci` and `client`.
          address = "192.168.1.3";
          bios = if x86 then "${pkgs.ipxe}/undionly.kpxe" else null;
          efiX86_64 = if x86 then "${pkgs.ipxe}/ipxe.efi" else null;
          efiAarch64 = if x86 then null else "${pkgs.ipxe}/ipxe.efi";
        };
        proxyDhcp = {
          enable = true;
          subnet = "192.168.1.0/24";
        };
      };
    };

    # Nothing but memory and a network card; what it runs comes from the network.
    client =
      { lib, ... }:
      {
        virtualisation = {
          memorySize = 4096;
          cores = 2;
          diskImage = null;
          directBoot.enable = false;
          useEFIBoot = !x86;
          efi.keepVariables = false;
          qemu = {
            # Without the emulator's own network, which answers DHCP, too.
            networkingOptions = lib.mkForce [ ];
            options = [ "-boot order=n" ];
          };
        };
        boot.loader.grub.enable = lib.mkForce false;
      };
  };

  script = ''
    begin_publishing()
    archive = f"/srv/${name}-boot-v1-{ZERO}.tar.zst"
    ci.succeed(
        "tar --dereference --sort=name --owner=0 --group=0 --mtime=@1 --create --directory ${netboot} "
        f"kernel initrd netboot.ipxe | zstd -3 > {archive}"
    )
    publish(1, "netboot", called="${name}", assets=f"--assets {archive}")

    server.start()
    server.wait_for_unit("multi-user.target")

    with subtest("without a root it serves nothing"):
        server.fail("systemctl start ec-netboot-stage.service")
        server.fail("curl --fail --silent http://127.0.0.1:8080/netboot.ipxe")

    with subtest("with it, what CI signed"):
        root = ci.succeed("base64 --wrap=0 /srv/keys/root.json").strip()
        server.succeed(f"echo {root} | base64 --decode > /var/lib/root.json")
        server.succeed("systemctl start ec-netboot-stage.service", "systemctl restart ec-netboot.service ec-netboot-boot.service")
        server.wait_until_succeeds("curl --fail --silent http://127.0.0.1:8080/healthz")
        script = server.succeed("curl --fail --silent http://127.0.0.1:8080/netboot.ipxe")
        assert "${toplevel "netboot"}" in script, script

    client.start()
    client.wait_for_unit("multi-user.target")

    with subtest("it runs what was served, from memory alone"):
        assert client.succeed("readlink --canonicalize /run/current-system").strip() == "${toplevel "netboot"}"
        assert client.succeed("lsblk --noheadings --nodeps --output TYPE").split().count("disk") == 0

    with subtest("it is what CI signed"):
        pin(client)
        passes(client, "bytes")
  '';
}
