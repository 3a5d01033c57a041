# Installed on a local disk by `ec-install`: four partitions, found by their names (docs/installing.md).
#
#   EC-BOOT  vfat  /boot  kernels and initial RAM disks of the last ten generations
#   EC-ROOT  ext4  /      almost empty; mounted read-only, below a tmpfs
#   EC-NIX   ext4  /nix   the store and its database
#   EC-VAR   ext4  /var   what must survive: the node's key, its own data, SSH's host keys
{ lib, ... }:
let
  partition = label: fsType: options: {
    device = "/dev/disk/by-partlabel/${label}";
    inherit fsType options;
  };
in
{
  services.every-channel.runner = {
    enable = true;
    overlayRoot.enable = true;
  };

  fileSystems = {
    # Without "ro": systemd applies these options to the overlay as well, when it takes over.
    "/" = partition "EC-ROOT" "ext4" [ "defaults" ];
    "/nix" = partition "EC-NIX" "ext4" [ "noatime" ] // {
      neededForBoot = true;
    };
    "/var" =
      partition "EC-VAR" "ext4" [
        "nosuid"
        "nodev"
      ]
      // {
        neededForBoot = true;
      };
    # The kernels of all generations are readable to root alone: an initial RAM disk may hold secrets.
    "/boot" = partition "EC-BOOT" "vfat" [
      "umask=0077"
      "nosuid"
      "nodev"
      "noexec"
    ];
  };

  boot.loader = {
    systemd-boot.enable = true;
    # Variables of the firmware are the installer's business; a runner must boot after they were lost.
    efi.canTouchEfiVariables = lib.mkDefault false;
    timeout = lib.mkDefault 3;
  };
}
