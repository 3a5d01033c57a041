# The systems by name: which hardware, and how it boots.
{ lib }:
let
  variants = {
    "" = ./disk.nix;
    "-netboot" = ./netboot.nix;
    "-iso" = ./iso.nix;
  };
  system = platform: file: {
    imports = [ file ];
    nixpkgs.hostPlatform = "${platform}-linux";
  };
in
lib.concatMapAttrs (suffix: file: {
  "ec-runner-x86_64${suffix}" = system "x86_64" file;
  "ec-runner-aarch64${suffix}" = system "aarch64" file;
}) variants
// {
  ec-runner-aarch64-sdimage = system "aarch64" ./sdimage.nix;
}
