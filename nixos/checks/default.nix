# `checks`: what needs no machine first, then virtual machines (./vm), one behaviour a file.
{
  inputs,
  system,
  lib,
  pkgs,
}:
let
  arguments = {
    inherit
      inputs
      system
      lib
      pkgs
      ;
    # The whole tree, for what reads many files of it. Building it anew after any change costs seconds.
    source = lib.fileset.toSource {
      root = ../..;
      fileset = ../..;
    };
    # A check that is decided when it is evaluated: it fails, when built, with one line a problem. `passthru.problems`
    # has them without a build.
    judge =
      name: problems:
      pkgs.runCommand "ec-check-${name}"
        {
          inherit problems;
          __structuredAttrs = true;
          passthru = { inherit problems; };
        }
        ''
          if [ ''${#problems[@]} -gt 0 ]; then
            printf '%s\n' "''${problems[@]}" >&2
            exit 1
          fi
          touch "''${outputs[out]}"
        '';
  };
  part = file: import file arguments;
in
part ./lint.nix
// part ./python.nix
// part ./tofu.nix
// part ./systems.nix
// part ./modules.nix
// part ./units.nix
// part ./vm
