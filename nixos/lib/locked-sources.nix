# lockedSources FLAKE: the sources of all inputs of a flake, inputs of inputs included, each once.
#
# A node evaluates its own source without network, so everything that `flake.lock` names must be in its closure. The list
# comes from the evaluated inputs, not from the lock file: what an input `follows` is there under one name.
# Flake references that are no flakes (`flake = false`) have an outPath, too.
{ lib }:
let
  inputsOf =
    flake:
    map (input: {
      key = toString input.outPath;
      inherit input;
    }) (lib.attrValues (flake.inputs or { }));
in
flake:
map (item: item.input.outPath) (
  builtins.genericClosure {
    startSet = inputsOf flake;
    operator = item: inputsOf item.input;
  }
)
