# All features at once, so that checks of units and options see every one. No machine is meant to be like this.
{ lib, options, ... }:
let
  ours = options.services.every-channel;
in
{
  services.every-channel = lib.mkMerge [
    (lib.mapAttrs (_: _: { enable = true; }) (lib.filterAttrs (_: module: module ? enable) ours))
    {
      verify.trust.tokenFile = "/run/keys/release-token";
    }
    (lib.optionalAttrs (ours ? ec-node) {
      ec-node.credentials.origin = "/run/keys/origin-token";
    })
    (lib.optionalAttrs (ours ? netboot) {
      netboot = {
        release = {
          root = "/etc/ec-netboot/root.json";
          metadataBase = "https://forge.example.org/every-channel/runner/releases/download/trust/";
          targetBase = "https://forge.example.org/every-channel/runner/releases/download/";
          tokenFile = "/run/keys/release-token";
        };
        chainTokenFile = "/run/keys/chain-token";
        tftp = {
          enable = true;
          address = "192.0.2.1";
        };
        proxyDhcp = {
          enable = true;
          subnet = "192.0.2.0/24";
        };
      };
    })
  ];
}
