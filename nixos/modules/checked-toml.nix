# A configuration in TOML, accepted by the program that will read it: a mistake ends the build, not the first start on a
# thousand nodes. *check* is the beginning of a command line that the file's path completes. Not a module: a function.
{ pkgs }:
{
  name,
  settings,
  program,
  check,
}:
let
  plain = (pkgs.formats.toml { }).generate name settings;
in
pkgs.runCommand name
  {
    nativeBuildInputs = [ program ];
    preferLocalBuild = true;
  }
  ''
    ${check} ${plain}
    cp ${plain} $out
  ''
