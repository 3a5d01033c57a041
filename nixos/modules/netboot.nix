# The boot server: `ec-netboot` stages images that CI signed and serves them. Cut by rights: who speaks HTTP with machines
# has none, who answers firmware has those of a DHCP server and nothing to do with the rest. docs/netboot.md.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  cfg = config.services.every-channel.netboot;
  trust = import ./trust.nix { inherit lib; };
  noSecret = import ./no-secret.nix { inherit lib; };
  state = "/var/lib/ec-netboot";
  user = "ec-netboot";
  tftp = cfg.tftp.enable || cfg.proxyDhcp.enable;

  checked = import ./checked-toml.nix { inherit pkgs; } {
    name = "netboot.toml";
    inherit (cfg) settings;
    program = pkgs.buildPackages.ec-netboot;
    check = "ec-netboot check --config";
  };
in
{
  imports = [
    ./netboot-options.nix
    ./netboot-units.nix
  ];

  config = lib.mkIf cfg.enable {
    assertions = [
      {
        assertion = (cfg.release.tarball == null) == (cfg.release.sha256 == null);
        message = "services.every-channel.netboot.release: tarball and sha256 go together: a local archive is believed by its digest alone.";
      }
      {
        assertion = cfg.release.tarball != null || cfg.release.metadataBase != null;
        message = "services.every-channel.netboot.release: there is nothing to serve: set root, metadataBase and targetBase, or tarball and sha256.";
      }
      {
        assertion = tftp -> cfg.tftp.address != null;
        message = "services.every-channel.netboot.tftp.address: machines must be told this machine's address.";
      }
      {
        assertion = cfg.proxyDhcp.enable -> cfg.proxyDhcp.subnet != null;
        message = "services.every-channel.netboot.proxyDhcp.subnet: say which network is answered.";
      }
      (noSecret "services.every-channel.netboot.chainTokenFile" cfg.chainTokenFile)
    ]
    ++ trust.assertions "services.every-channel.netboot.release" cfg.release;

    services.every-channel.netboot.settings = lib.mkMerge [
      {
        inherit (cfg) platforms;
        http = {
          inherit (cfg) port;
          address = cfg.listenIP;
          allowed = cfg.allowedCIDRs;
        };
        script.kernel_parameters = cfg.kernelParameters;
      }
      (trust.settings "ec-netboot-stage" cfg.release)
      (lib.mkIf (cfg.release.tag != null) { release.tag = cfg.release.tag; })
      (lib.mkIf (cfg.release.tarball != null) {
        release.tarball = "${cfg.release.tarball}";
        release.sha256 = cfg.release.sha256;
      })
      (lib.mkIf (cfg.hostname != null) {
        script.url = "http://${cfg.hostname}:${toString cfg.port}/";
      })
      (lib.mkIf tftp {
        tftp = {
          enabled = true;
          address = cfg.tftp.address;
          program = lib.getExe pkgs.dnsmasq;
        }
        // lib.optionalAttrs (cfg.interface != null) { inherit (cfg) interface; }
        // lib.optionalAttrs (cfg.tftp.bios != null) { bios = "${cfg.tftp.bios}"; }
        // lib.optionalAttrs (cfg.tftp.efiX86_64 != null) { efi_x86_64 = "${cfg.tftp.efiX86_64}"; }
        // lib.optionalAttrs (cfg.tftp.efiAarch64 != null) { efi_aarch64 = "${cfg.tftp.efiAarch64}"; };
      })
      (lib.mkIf cfg.proxyDhcp.enable {
        proxy_dhcp = {
          enabled = true;
          inherit (cfg.proxyDhcp) subnet;
        };
      })
    ];

    environment.systemPackages = [ cfg.package ];
    environment.etc."ec-netboot/netboot.toml".source = checked;

    users.users.${user} = {
      isSystemUser = true;
      group = user;
      description = "Stages and serves boot images";
    };
    users.groups.${user} = { };

    systemd.tmpfiles.settings."10-ec-netboot".${state}.d = {
      inherit user;
      group = user;
      mode = "0755";
    };

    networking.firewall = lib.mkIf cfg.openFirewall (
      let
        ports = {
          allowedTCPPorts = [ cfg.port ];
          allowedUDPPorts =
            lib.optional tftp 69
            ++ lib.optionals cfg.proxyDhcp.enable [
              67
              4011
            ];
          # Each transfer has a port of its own.
          allowedUDPPortRanges = lib.optional tftp {
            from = 49152;
            to = 49251;
          };
        };
      in
      if cfg.interface == null then ports else { interfaces.${cfg.interface} = ports; }
    );
  };
}
