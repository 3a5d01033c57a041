# Loadable parts of the kernel.
{ tools, kernel, ... }:
tools.tree "linux-6.12.9-modules" "lib" { inherit kernel; } ''
  directory modules
  directory modules/6.12.9
  for module in dvb_core dvb_usb overlay; do
    file "modules/6.12.9/$module.ko" "module $module"
  done
  link modules/6.12.9/build "$kernel/boot"
''
