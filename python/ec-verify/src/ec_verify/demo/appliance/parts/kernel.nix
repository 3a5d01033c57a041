# What the boot loader starts: an image and the map of its symbols.
{ tools, ... }:
tools.tree "linux-6.12.9" "boot" { } ''
  printf -v text '%65536s' ""
  file bzImage "HdrS ''${text// /k}"
  file System.map 'ffffffff81000000 T _text
  ffffffff81000040 T start_kernel
  '
''
