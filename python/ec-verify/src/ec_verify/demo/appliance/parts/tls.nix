# Copies what cannot be reproduced, and so inherits the difference.
{ tools, dhparams, ... }:
tools.sh "tls.conf" { inherit dhparams; } ''
  read -r parameters < "$dhparams"
  echo "protocol 1.3; $parameters; from $dhparams" > "$out"
''
