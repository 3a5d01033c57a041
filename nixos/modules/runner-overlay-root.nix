# The real root, mounted read-only below a tmpfs. What is written anywhere but on the persistent file systems is gone at
# the next boot, an intruder's changes included.
#
# The initial RAM disk mounts the root where `fileSystems."/"` says; then this moves it to /run, which survives the change
# of roots, and puts the overlay in its place before the other file systems are mounted upon it. A mount cannot be moved
# below itself, and where mounts are shared it cannot be moved at all: hence a bind and an unmount.
{
  config,
  lib,
  utils,
  ...
}:
let
  runner = config.services.every-channel.runner;
  cfg = runner.overlayRoot;

  onTop = lib.filter (fs: utils.fsNeededForBoot fs && fs.mountPoint != "/") (
    lib.attrValues config.fileSystems
  );
  unit = mountPoint: "${utils.escapeSystemdPath "/sysroot${mountPoint}"}.mount";
  has = mountPoint: config.fileSystems ? ${mountPoint};
in
{
  options.services.every-channel.runner.overlayRoot = {
    enable = lib.mkOption {
      type = lib.types.bool;
      default = false;
      description = ''
        Mount the root read-only, with a tmpfs over it. Only `/nix`, `/var` and `/boot`, which then must be file systems
        of their own, keep what is written. Does nothing where the root is an overlay already; images that make their own
        root leave it off.
      '';
    };

    size = lib.mkOption {
      type = lib.types.strMatching "[1-9][0-9]*(%|[kKmMgG])";
      default = "25%";
      example = "512M";
      description = ''
        The most that the tmpfs takes of the memory. Whoever fills the root gets "no space left on device" instead of
        taking the memory that broadcasts need.
      '';
    };

    lower = lib.mkOption {
      type = lib.types.str;
      default = "/run/every-channel/root/lower";
      readOnly = true;
      description = "Where the real root can be seen, read-only.";
    };
  };

  config = lib.mkIf (runner.enable && cfg.enable) {
    assertions = [
      {
        assertion = config.boot.initrd.systemd.enable;
        message = "services.every-channel.runner.overlayRoot needs boot.initrd.systemd.enable.";
      }
      {
        assertion = has "/nix" || has "/nix/store";
        message = "services.every-channel.runner.overlayRoot: /nix must be a file system of its own, or every upgrade is lost at the next boot.";
      }
      {
        assertion = has "/var" -> utils.fsNeededForBoot config.fileSystems."/var";
        message = ''services.every-channel.runner.overlayRoot: set fileSystems."/var".neededForBoot, so that nothing is written to the tmpfs before it is mounted.'';
      }
    ];

    boot.initrd.kernelModules = [ "overlay" ];
    boot.initrd.systemd.services.overlay-root = {
      description = "Cover the read-only root with a tmpfs";
      requiredBy = [ "initrd-root-fs.target" ];
      requires = [ "sysroot.mount" ];
      after = [ "sysroot.mount" ];
      before = [
        "initrd-root-fs.target"
        "sysroot-run.mount"
      ]
      ++ map (fs: unit fs.mountPoint) onTop;
      unitConfig.DefaultDependencies = false;
      serviceConfig = {
        Type = "oneshot";
        RemainAfterExit = true;
      };
      script = ''
        if [ "$(stat --file-system --format %T /sysroot)" = overlayfs ]; then
          echo "the root is an overlay already"
          exit 0
        fi
        base=/run/every-channel/root
        mkdir -p $base/lower $base/rw
        mount -t tmpfs -o mode=0755,size=${cfg.size} ec-root $base/rw
        mkdir $base/rw/upper $base/rw/work
        mount --bind /sysroot $base/lower
        umount /sysroot
        # The file system itself, not this view of it alone: nothing writes to it any more, no journal either.
        mount -o remount,ro $base/lower
        mount -t overlay -o lowerdir=$base/lower,upperdir=$base/rw/upper,workdir=$base/rw/work ec-root /sysroot
      '';
    };
  };
}
