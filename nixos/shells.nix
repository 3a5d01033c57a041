# `nix develop` for people, `nix develop .#ci` for jobs: the smaller one.
{ pkgs, ... }:
let
  python = import ./packages/python-environment.nix { inherit pkgs; };
  ci = [
    python
    pkgs.git
    (import ./packages/nixfmt.nix { inherit pkgs; })
    pkgs.ruff
    pkgs.skopeo
    pkgs.uv
  ];
in
{
  ci = pkgs.mkShellNoCC { packages = ci; };
  default = pkgs.mkShellNoCC {
    packages = ci ++ [
      pkgs.cosign
      pkgs.dnsmasq
      pkgs.ffmpeg-headless
      pkgs.nixd
      pkgs.opentofu
      pkgs.qemu_test
      pkgs.shellcheck-minimal
    ];
    # `./dev` makes an environment of its own from requirements.lock; here the workspace's sources come first instead.
    shellHook = ''
      for d in python/*/src app/src; do PYTHONPATH=$PWD/$d''${PYTHONPATH:+:$PYTHONPATH}; done
      export PYTHONPATH PYTHONDONTWRITEBYTECODE=1
    '';
  };
}
