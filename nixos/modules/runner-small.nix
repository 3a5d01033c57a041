# What an appliance does without (RUNNER_IMAGES.md, "What is in an image").
{
  config,
  lib,
  modulesPath,
  ...
}:
let
  cfg = config.services.every-channel.runner;
  profile = import "${modulesPath}/profiles/minimal.nix" { inherit lib; };
in
{
  config = lib.mkIf cfg.enable (
    lib.mkMerge [
      # No documentation, no desktop's data.
      profile
      {
        boot.enableContainers = lib.mkDefault false;
        environment.defaultPackages = lib.mkForce [ ];
        fonts.fontconfig.enable = lib.mkDefault false;
        i18n.supportedLocales = lib.mkDefault [ "C.UTF-8/UTF-8" ];
        i18n.defaultLocale = lib.mkDefault "C.UTF-8";
        programs.nano.enable = lib.mkDefault false;
        programs.less.lessopen = lib.mkDefault null;
        programs.bash.completion.enable = lib.mkDefault false;
        security.polkit.enable = lib.mkDefault false;
        services.lvm.enable = lib.mkDefault false;
        # `nixos-rebuild` stays: a runner is upgraded in place.
        system.tools = {
          nixos-build-vms.enable = lib.mkDefault false;
          nixos-generate-config.enable = lib.mkDefault false;
          nixos-option.enable = lib.mkDefault false;
        };
      }
    ]
  );
}
