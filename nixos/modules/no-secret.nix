# An assertion: the *file* with a secret that the option *option* names is outside the store. Null names none.
# Not a module: a function.
{ lib }:
option: file: {
  assertion = file == null || !lib.hasPrefix builtins.storeDir (toString file);
  message = "${option}: ${toString file} would put a secret into the store, where everybody reads it.";
}
