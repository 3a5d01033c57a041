# What images have in common whose root is made by the image itself: no overlay of ours, and the means to install.
{ pkgs, ... }:
{
  services.every-channel.runner = {
    enable = true;
    overlayRoot.enable = false;
    stateLabel = "EC-STATE";
  };

  environment.systemPackages = [ pkgs.ec-install ];
}
