# A package with two outputs.
{ tools, runtime, ... }:
tools.sh "editor-9" { inherit runtime; outputs = [ "out" "doc" ]; } ''
  echo "editor 9 on $runtime" > "$out"
  echo "editor(1): edits files" > "$doc"
''
