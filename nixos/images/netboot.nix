# Booted from the network: kernel and initial RAM disk that contains the store. Nothing survives a reboot but what lies on
# a partition labelled EC-STATE. `ec-netboot` serves the directory `system.build.netboot`.
{
  config,
  pkgs,
  modulesPath,
  ...
}:
{
  imports = [
    "${modulesPath}/installer/netboot/netboot.nix"
    ./media.nix
  ];

  netboot.squashfsCompression = "zstd -Xcompression-level 19";

  system.build.netboot = pkgs.callPackage ../packages/netboot.nix {
    name = config.services.every-channel.runner.name;
    kernel = "${config.system.build.kernel}/${config.system.boot.loader.kernelFile}";
    initrd = "${config.system.build.netbootRamdisk}/initrd";
    init = "${config.system.build.toplevel}/init";
    inherit (config.boot) kernelParams;
  };
}
