# The program that the appliance exists for. It knows where it lies: a path that refers to itself.
{ tools, runtime, ... }:
tools.sh "publisher-1.4" { inherit runtime; } ''
  echo "loader $runtime/lib/libc.so.6, home $out, version 1.4" > "$out"
''
