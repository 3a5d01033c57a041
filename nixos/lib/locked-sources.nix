# lockedSources FLAKE: the sources of all inputs of a flake, inputs of inputs included, each once.
#
# A node evaluates its own source without network, so everything that `flake.lock` names must be in its closure. The list
# comes from the evaluated inputs, not from the lock file: what an input `follows` is there under one name.
# Flake references that are no flakes (`flake = false`) have an outPath, too.
{ lib }:
flake:
let
  children = input: lib.attrValues (input.inputs or { });
  found = builtins.genericClosure {
    startSet = map (input: {
      key = toString input.outPath;
      inherit input;
    }) (children flake);
    operator =
      item:
      map (input: {
        key = toString input.outPath;
        inherit input;
      }) (children item.input);
  };
in
map (item: item.input.outPath) found
