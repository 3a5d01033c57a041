# Booted from a CD image or a USB stick, on firmware of both kinds. Like netboot, without a server.
{
  config,
  lib,
  modulesPath,
  ...
}:
{
  imports = [
    "${modulesPath}/installer/cd-dvd/iso-image.nix"
    ./media.nix
  ];

  image.baseName = lib.mkForce config.services.every-channel.runner.name;
  isoImage = {
    makeEfiBootable = true;
    makeUsbBootable = true;
    makeBiosBootable = config.nixpkgs.hostPlatform.isx86;
    squashfsCompression = "zstd -Xcompression-level 19";
    # Eleven characters would be the limit of vfat, thirty-two that of ISO 9660. The medium is found by this name.
    volumeID = "EC-RUNNER";
    appendToMenuLabel = " runner";
  };
  swapDevices = lib.mkImageMediaOverride [ ];
}
