# A runner that the test driver can talk to, and that believes the `ci` machine of ./lib.nix.
{ lib, modulesPath, ... }:
{
  imports = [
    "${modulesPath}/testing/test-instrumentation.nix"
    "${modulesPath}/profiles/qemu-guest.nix"
  ];

  services.every-channel.verify = {
    trust = {
      # Keys are made when a test runs, and their root is put here. An image pins its root by a path of the store.
      root = "/var/lib/every-channel/root.json";
      metadataBase = "http://192.168.1.1/download/trust/";
      targetBase = "http://192.168.1.1/download/";
    };
    # A test says when.
    schedule = {
      bytes = null;
      source = null;
      rebuild = null;
    };
    policy.cache_keys = [ (import ./cache-key.nix).public ];
    settings.nix.substituters = lib.mkForce [ "http://192.168.1.1/cache" ];
  };
  # A source that is evaluated twice at one time would not fit into a small machine.
  nix.settings.substituters = lib.mkForce [ ];

  boot.loader.timeout = 1;
}
