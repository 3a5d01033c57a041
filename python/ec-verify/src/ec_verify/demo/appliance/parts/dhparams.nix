# Honestly unreproducible: every build draws new numbers, and nobody can be blamed for it.
{ tools, ... }:
tools.sh "dhparams" { } ''
  read -r uuid < /proc/sys/kernel/random/uuid
  echo "prime $uuid $RANDOM" > "$out"
''
