# How things are built where a static shell is all there is: no compiler, no coreutils.
{ system }:
rec {
  inherit system;

  # One file (or one for each output), written by shell builtins.
  sh = name: attributes: script:
    derivation ({
      inherit name system;
      builder = "/bin/sh";
      args = [ "-euc" script ];
    } // attributes);

  # A directory tree $out/<directory>. A shell cannot make directories, but it can write a tar archive,
  # and Nix has a builder that unpacks one.
  tree = name: directory: attributes: script:
    derivation {
      inherit name;
      system = "builtin";
      builder = "builtin:unpack-channel";
      channelName = directory;
      src = sh "${name}.tar" attributes ''
        exec > "$out"
        . ${./tree.sh}
        ${script}
        finish
      '';
    };

  # A directory of links to what lies in the directories `sources`.
  farm = name: sources: note:
    derivation {
      inherit name;
      system = "builtin";
      builder = "builtin:buildenv";
      derivations = map (source: "true 5 1 ${source}") sources;
      manifest = note;
    };
}
