# Formatting and lint of all languages, as `./dev check` and tests do it.
{
  lib,
  pkgs,
  source,
  ...
}:
let
  python = import ../packages/python-environment.nix { inherit pkgs; };
  nixfmt = import ../packages/nixfmt.nix { inherit pkgs; };

  check =
    name: tools: script:
    pkgs.runCommand "ec-check-${name}" { nativeBuildInputs = tools; } ''
      # Tools keep caches beside what they read.
      cp -r ${source} source
      chmod -R u+w source
      cd source
      ${script}
      touch $out
    '';
in
{
  formatting = check "formatting" [ nixfmt ] ''
    # What the demonstration ships is a machine of its own, whose attacks edit its text.
    find . -path ./python -prune -o -name '*.nix' -print0 | xargs -0 nixfmt --check
  '';

  shell = check "shell" [ pkgs.shellcheck-minimal ] ''
    grep -rlIE '^#!.*\b(bash|sh)$' . | tee /dev/stderr | xargs shellcheck --severity=warning
  '';

  ruff = check "ruff" [ pkgs.ruff ] ''
    ruff format --check --no-cache .
    ruff check --no-cache .
  '';

  mypy = check "mypy" [ python ] ''
    mypy --cache-dir=/dev/null ${
      lib.concatStringsSep " " [
        "python/*/src"
        "app/src"
      ]
    }
  '';
}
