# The directory that a netboot server stages: kernel, initrd and the script that starts them.
{
  lib,
  runCommand,
  writeText,
  name,
  kernel,
  initrd,
  init,
  kernelParams,
}:
let
  script = writeText "netboot.ipxe" ''
    #!ipxe
    # A script that chains this one may set cmdline.
    kernel kernel init=${init} initrd=initrd ${lib.concatStringsSep " " kernelParams} ''${cmdline}
    initrd initrd
    boot
  '';
in
# Links, so that the store holds each file once; `ec-release` follows them.
runCommand "${name}-tree" { } ''
  mkdir $out
  ln -s ${kernel} $out/kernel
  ln -s ${initrd} $out/initrd
  ln -s ${script} $out/netboot.ipxe
''
