# What every program needs at run time. CI takes it from a cache.
{ tools, ... }:
tools.tree "runtime-2.40" "lib" { } ''
  printf -v code '%4096s' ""
  file libc.so.6 "ELF ''${code// /code}"
  link libc.so libc.so.6
''
