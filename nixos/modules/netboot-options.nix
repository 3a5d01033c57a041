# What the boot server can be told. netboot.nix says what comes of it.
{ lib, pkgs, ... }:
let
  inherit (lib) mkOption types;
  toml = pkgs.formats.toml { };
  trust = import ./trust.nix { inherit lib; };

  ip = types.strMatching "[0-9a-fA-F.:]+";
in
{
  options.services.every-channel.netboot = {
    enable = lib.mkEnableOption "the boot server: machines on its network that boot from there run what it serves";

    package = lib.mkPackageOption pkgs "ec-netboot" { };

    platforms = mkOption {
      type = types.nonEmptyListOf (
        types.enum [
          "x86_64"
          "aarch64"
        ]
      );
      default = [ "x86_64" ];
      example = [
        "x86_64"
        "aarch64"
      ];
      description = "For which machines images are staged. Each takes the room of `settings.keep` images, a GiB or so each.";
    };

    release = {
      tag = mkOption {
        type = types.nullOr (types.strMatching "[A-Za-z0-9][A-Za-z0-9._+~-]{0,199}");
        default = null;
        example = "boot-v2026.11.20";
        description = ''
          Serve this release instead of the newest, also an older one. Releases that signed metadata withdraw are not served,
          whatever stands here.
        '';
      };
      tarball = mkOption {
        type = types.nullOr types.path;
        default = null;
        example = "/var/lib/images/ec-runner-x86_64-netboot.tar.zst";
        description = ''
          Serve this local archive. Nobody signed it: no rule about versions or withdrawn releases holds, and its digest, which
          must be given, is all that vouches for it.
        '';
      };
      sha256 = mkOption {
        type = types.nullOr (types.strMatching "[0-9a-f]{64}");
        default = null;
        example = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
        description = "The SHA-256 of `tarball`. Another archive in its place is not served.";
      };
      schedule = mkOption {
        type = types.nullOr (types.strMatching ".+");
        default = "hourly";
        example = "*-*-* 04:00:00";
        description = "When a newer release is looked for (systemd.time(7)); null: only at boot and by hand.";
      };
    }
    // trust.options ''
      The pinned TUF root. Every image that is served follows from it; without it, only a local archive can be staged.
    '';

    listenIP = mkOption {
      type = ip;
      default = "0.0.0.0";
      example = "10.20.30.2";
      description = "Where HTTP is listened for. `::` is every address, IPv6 and IPv4.";
    };

    port = mkOption {
      type = types.port;
      default = 8080;
      example = 80;
      description = "The port of HTTP. Below 1024, the unit is given the right to bind such ports.";
    };

    hostname = mkOption {
      type = types.nullOr (types.strMatching "[A-Za-z0-9][A-Za-z0-9.-]*");
      default = null;
      example = "boot.example.org";
      description = ''
        The name under which machines reach this server; it must resolve on their network. Null: scripts name whatever
        address they came from, and ProxyDHCP names `tftp.address`.
      '';
    };

    allowedCIDRs = mkOption {
      type = types.nonEmptyListOf (types.strMatching "[0-9a-fA-F.:]+/[0-9]+");
      default = [
        "127.0.0.0/8"
        "10.0.0.0/8"
        "172.16.0.0/12"
        "192.168.0.0/16"
        "169.254.0.0/16"
        "::1/128"
        "fc00::/7"
        "fe80::/10"
      ];
      example = [ "10.20.30.0/24" ];
      description = "Who is answered. Others get 403, whatever they ask for.";
    };

    chainTokenFile = mkOption {
      type = types.nullOr (types.strMatching "/.+");
      default = null;
      example = "/run/keys/netboot-chain-token";
      description = ''
        A file outside the store that holds the chain token: 16 to 200 letters, digits and `._~-`. Scripts are only given to
        who asks with it, so that it belongs into the script that is embedded into iPXE. Null: no token is asked for.
      '';
    };

    kernelParameters = mkOption {
      type = types.listOf (types.strMatching "[^[:space:]]+");
      default = [ ];
      example = lib.literalExpression ''[ "console=ttyS0,115200" ]'';
      description = "Follow the image's own, on every machine. They are not part of what CI signed, and ec-verify says so.";
    };

    interface = mkOption {
      type = types.nullOr (types.strMatching "[A-Za-z0-9._@-]{1,15}");
      default = null;
      example = "enp195s0";
      description = "Answer TFTP and ProxyDHCP on this interface only, and open the firewall there only. Null: on all.";
    };

    tftp = {
      enable = lib.mkEnableOption "TFTP, by which firmware loads iPXE. ProxyDHCP needs it; so do DHCP options 66 and 67 that a router sends";
      address = mkOption {
        type = types.nullOr ip;
        default = null;
        example = "10.20.30.2";
        description = "This machine's address on the network that boots. Machines are told it.";
      };
      bios = mkOption {
        type = types.nullOr types.path;
        default = null;
        example = lib.literalExpression ''"''${pkgs.ipxe}/undionly.kpxe"'';
        description = "iPXE for BIOS, served as {file}`undionly.kpxe`. Null: such machines do not boot from here.";
      };
      efiX86_64 = mkOption {
        type = types.nullOr types.path;
        default = null;
        example = lib.literalExpression ''"''${pkgs.ipxe.override { embedScript = ./chain.ipxe; }}/ipxe.efi"'';
        description = "iPXE for UEFI on x86_64, served as {file}`ipxe.efi`. Null: such machines do not boot from here.";
      };
      efiAarch64 = mkOption {
        type = types.nullOr types.path;
        default = null;
        example = lib.literalExpression ''"''${pkgs.pkgsCross.aarch64-multiplatform.ipxe}/ipxe.efi"'';
        description = "iPXE for UEFI on aarch64, served as {file}`ipxe-arm64.efi`. Null: such machines do not boot from here.";
      };
    };

    proxyDhcp = {
      enable = lib.mkEnableOption "ProxyDHCP: machines that boot are told by this server what to load, beside the network's own DHCP server. Off where that server sends options 66 and 67: both at once contradict each other";
      subnet = mkOption {
        type = types.nullOr (types.strMatching "[0-9.]+/[0-9]+");
        default = null;
        example = "10.20.30.0/24";
        description = "The IPv4 network of `tftp.address`. Machines of other networks are not answered.";
      };
    };

    openFirewall = mkOption {
      type = types.bool;
      default = false;
      description = ''
        Open the ports of what is served: HTTP, and UDP 69, 49152 to 49251, 67 and 4011 as needed. On `interface`, where one is named, else on
        every interface.
      '';
    };

    settings = mkOption {
      type = types.submodule { freeformType = toml.type; };
      default = { };
      example = lib.literalExpression "{ keep = 2; http.downloads = 32; }";
      description = ''
        {file}`netboot.toml`, see docs/netboot.md; checked when the system is built. What other options of this module say is
        there already. Files with secrets are named, never written here: the store is readable by everybody.
      '';
    };
  };
}
