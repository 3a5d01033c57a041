# The systems of this platform: they evaluate, are called what the verifier is told, and carry their source.
{
  inputs,
  system,
  lib,
  pkgs,
  judge,
  ...
}:
let
  inherit (inputs.self) nixosConfigurations;
  here = lib.filterAttrs (_: it: it.config.nixpkgs.hostPlatform.system == system) nixosConfigurations;

  problems =
    name: it:
    let
      inherit (it) config;
      cfg = config.services.every-channel;
      settings = cfg.verify.settings;
      expect =
        what: wanted: got:
        lib.optional (wanted != got) "${name}: ${what} is ${toString got}, not ${toString wanted}";
    in
    expect "runner.name" name cfg.runner.name
    ++
      expect "the attribute that the verifier evaluates"
        "nixosConfigurations.${name}.config.system.build.toplevel"
        settings.source.attr
    ++ expect "the platform in its name" true (
      lib.hasPrefix "ec-runner-${lib.removeSuffix "-linux" system}" name
    )
    ++ expect "the package of its name" true (inputs.self.packages.${system} ? ${name})
    ++
      expect "the embedded flake" inputs.self.outPath
        config.environment.etc."every-channel/flake".source
    ++ map (input: "${name}: the source of a locked input is not in the closure: ${input}") (
      lib.subtractLists (map toString config.system.extraDependencies) (
        map toString (inputs.self.lib.lockedSources inputs.self)
      )
    )
    ++ expect "the Nix that verifies" (lib.getExe config.nix.package) settings.nix.program
    ++ expect "importing from derivations" false (
      config.nix.settings.allow-import-from-derivation or false
    )
    ++ expect "a password for root" true (
      lib.all (
        user: user.hashedPassword == null && user.initialPassword == null && user.password == null
      ) (lib.attrValues config.users.users)
    );
in
{
  systems = (judge "systems" (lib.concatLists (lib.mapAttrsToList problems here))).overrideAttrs {
    # Evaluated, and not built: their names are text here.
    evaluated = lib.mapAttrs (
      _: it: builtins.unsafeDiscardStringContext it.config.system.build.toplevel.drvPath
    ) here;
  };
}
