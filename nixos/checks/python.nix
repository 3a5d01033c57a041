# The tests that need neither Nix nor root nor network, with the Python set that nodes run; and that this set is the one
# that requirements.lock was solved against.
{
  lib,
  pkgs,
  source,
  judge,
  ...
}:
let
  python = import ../packages/python-environment.nix { inherit pkgs; };

  # "name==version" of python/constraints.txt, and what its remarks say nixpkgs has where the index has no such version.
  lines = lib.splitString "\n" (lib.readFile ../../python/constraints.txt);
  matches = pattern: lib.filter (it: it != null) (map (builtins.match pattern) lines);
  pair = it: lib.nameValuePair (lib.elemAt it 0) (lib.elemAt it 1);
  tested =
    lib.listToAttrs (map pair (matches "([a-z0-9][a-z0-9._-]*)==([^ ;]+)"))
    // lib.listToAttrs (map pair (matches "# ([a-z0-9][a-z0-9._-]*): nixpkgs has ([^ ,]+), .*"));

  # What no node runs may differ: it is named in the lock for tests, or for another platform.
  set = pkgs.python3Packages;
  # 3.00 is 3.0.
  spelled =
    version:
    lib.concatMapStringsSep "." (
      part: if builtins.match "0+[0-9]+" part == null then part else toString (lib.toIntBase10 part)
    ) (lib.splitString "." version);
  has =
    name:
    let
      found = builtins.tryEval (set.${name}.version or "none");
    in
    if found.success then spelled found.value else "none";
in
{
  versions = judge "versions" (
    lib.concatLists (
      lib.mapAttrsToList (
        name: version:
        lib.optional (
          has name != spelled version
        ) "${name}: tested with ${version}, this nixpkgs has ${has name}: run python/lock"
      ) tested
    )
  );

  pytest =
    pkgs.runCommand "ec-check-pytest"
      {
        nativeBuildInputs = [
          python
          pkgs.git
          pkgs.util-linux
          pkgs.zizmor
        ];
      }
      ''
        cp -r ${source} source
        chmod -R u+w source
        cd source
        # Some tests ask git which files there are.
        git init --quiet
        git add --all
        export HOME=$TMPDIR
        pytest -n $NIX_BUILD_CORES -m "not nix and not root"
        touch $out
      '';
}
