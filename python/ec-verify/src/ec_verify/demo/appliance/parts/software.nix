# What is on the path of users.
{ tools, publisher, editor, ... }:
tools.tree "system-path" "sw" { inherit publisher editor; inherit (editor) doc; } ''
  directory bin
  link bin/publisher "$publisher"
  link bin/editor "$editor"
  directory share
  link share/editor.txt "$doc"
''
