# What a switch to this system runs.
{ tools, etc, ... }:
tools.sh "activation-script" { inherit etc; } ''
  echo "link /etc to $etc/etc" > "$out"
''
