# All features at once, so that checks of units and options see every one. No machine is meant to be like this.
{ lib, options, ... }:
{
  services.every-channel = lib.mapAttrs (_: _: { enable = true; }) (
    lib.filterAttrs (_: module: module ? enable) options.services.every-channel
  );
}
