# A tool of the build that leaves no trace in what it makes. CI takes it from a cache.
{ tools, ... }:
tools.sh "unit-generator" { } ''
  echo 'unit() { printf "[Unit]\nDescription=%s\n[Service]\nExecStart=%s\n" "$1" "$2"; }' > "$out"
''
