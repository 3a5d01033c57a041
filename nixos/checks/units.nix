# Our unit files, as systemd reads them: nothing that it ignores or misses, and no more rights than ./exposure.nix says.
{
  inputs,
  system,
  lib,
  pkgs,
  ...
}:
let
  base = inputs.self.nixosConfigurations."ec-runner-${lib.removeSuffix "-linux" system}";
  inherit (base.extendModules { modules = [ ./everything.nix ]; }) config;

  ours = lib.filterAttrs (
    name: _: lib.hasPrefix "ec-" name || lib.hasPrefix "runner-dashboard" name
  ) config.systemd.units;
  exposure = import ./exposure.nix;
  limited = lib.mapAttrs' (name: lib.nameValuePair "${name}.service") exposure;
in
{
  units =
    pkgs.runCommand "ec-check-units"
      {
        nativeBuildInputs = [ config.systemd.package ];
        passthru = {
          inherit limited;
          # The text of each, for who has a systemd and cannot build
          texts = lib.mapAttrs (_: unit: unit.text) ours;
        };
      }
      ''
        units=${config.environment.etc."systemd/system".source}
        export SYSTEMD_UNIT_PATH=$units: XDG_RUNTIME_DIR=$TMPDIR
        cd $units
        # Warnings count, of units of ours: a setting that is misspelled is ignored.
        for unit in ${lib.escapeShellArgs (lib.attrNames ours)}; do
          file=$unit
          # A template is verified as one of its instances.
          case $unit in *@.*) file=''${unit/@./@check.} ;; esac
          systemd-analyze verify --man=no --recursive-errors=no "$file" 2>&1 | tee -a $TMPDIR/said
        done
        if grep -F ${
          lib.concatMapStringsSep " " (name: "-e ${lib.escapeShellArg name}") (lib.attrNames ours)
        } $TMPDIR/said; then exit 1; fi
        ${lib.concatStrings (
          lib.mapAttrsToList (unit: most: ''
            cp ${lib.escapeShellArg unit} $TMPDIR/${lib.replaceStrings [ "@." ] [ "@check." ] unit}
            systemd-analyze security --offline=true --threshold=${toString most} --no-pager \
              $TMPDIR/${lib.replaceStrings [ "@." ] [ "@check." ] unit}
          '') (lib.intersectAttrs ours limited)
        )}
        touch $out
      '';
}
