# An SD card for aarch64 boards that U-Boot starts. Its root is written in place at first boot (it grows to the card), so
# it is not read-only.
{
  config,
  lib,
  modulesPath,
  ...
}:
{
  imports = [
    "${modulesPath}/installer/sd-card/sd-image-aarch64.nix"
    ./media.nix
  ];
  # Its tools and file systems are for people at a console.
  disabledModules = [ "profiles/base.nix" ];

  image.baseName = lib.mkForce config.services.every-channel.runner.name;
}
