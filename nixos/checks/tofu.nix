# The stack of the dashboard, judged by OpenTofu with the real provider, which nixpkgs builds from source; and its alerts.
{ lib, pkgs, ... }:
let
  tofu = pkgs.opentofu.withPlugins (plugins: [ plugins.hashicorp_kubernetes ]);
  source = lib.fileset.toSource {
    root = ../../tofu;
    fileset = ../../tofu;
  };
in
{
  tofu = pkgs.runCommand "ec-check-tofu" { nativeBuildInputs = [ tofu ]; } ''
    cp -r ${source} tofu
    chmod -R u+w tofu
    cd tofu
    export HOME=$TMPDIR
    tofu fmt -check -recursive
    for directory in modules/* stacks/*; do
      tofu -chdir=$directory init -backend=false -input=false
      tofu -chdir=$directory validate
    done
    for directory in modules/*; do
      tofu -chdir=$directory test
    done
    touch $out
  '';

  alerts = pkgs.runCommand "ec-check-alerts" { nativeBuildInputs = [ pkgs.prometheus.cli ]; } ''
    promtool check rules ${../../app/monitoring/alerts.yaml}
    touch $out
  '';
}
