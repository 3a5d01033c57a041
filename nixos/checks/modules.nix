# What the modules and packages say about themselves.
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
  base = nixosConfigurations."ec-runner-${lib.removeSuffix "-linux" system}";
  everything = base.extendModules { modules = [ ./everything.nix ]; };

  options = lib.filter (option: option.visible && !option.internal) (
    lib.optionAttrSetToDocList everything.options.services.every-channel
  );

  # --- options
  wide = [
    "unspecified value"
    "anything"
    "raw value"
    "attribute set"
  ];
  aboutOptions = lib.concatMap (
    option:
    let
      said = option.description.text or option.description;
    in
    lib.optional (said == null || lib.trim said == "") "${option.name}: no description"
    ++ lib.optional (lib.elem option.type wide) "${option.name}: the type ${option.type} accepts anything"
  ) options;

  # --- secrets: a file is named by a text, for a path would be copied into the store, which everybody reads.
  secret =
    option:
    builtins.match ".*([tT]oken|[sS]ecret|[pP]assword|[pP]assphrase|[cC]redential|[pP]rivateKey|[kK]eyFile).*" (
      lib.last option.loc
    ) != null;
  secrets = lib.filter secret options;
  inStore = "${builtins.storeDir}/00000000000000000000000000000000-secret";
  # Several by name
  many = option: lib.hasPrefix "attribute set of" option.type;
  refused =
    option:
    let
      tried = base.extendModules {
        modules = [
          ./everything.nix
          (lib.setAttrByPath option.loc (
            lib.mkForce (if many option then { secret = inStore; } else inStore)
          ))
        ];
      };
    in
    lib.any (
      it: !it.assertion && (lib.hasInfix inStore it.message || lib.hasInfix option.name it.message)
    ) tried.config.assertions;
  aboutSecrets = lib.concatMap (
    option:
    if lib.hasInfix "path" option.type then
      [ "${option.name}: a secret of type ${option.type} would be copied into the store" ]
    else
      lib.optional (!refused option) "${option.name}: a path of the store is accepted for a secret"
  ) secrets;

  # --- packages
  programs = [
    "ec-install"
    "ec-netboot"
    "ec-node"
    "ec-provision"
    "ec-release"
    "ec-verify"
    "runner-dashboard"
  ];
  distributions = lib.subtractLists [ "ec-install" ] programs ++ [
    "ec-closure"
    "ec-fetch"
  ];
  meta = name: inputs.self.packages.${system}.${name}.meta;
  aboutPackages =
    lib.concatMap (
      name: lib.optional ((meta name).description or "" == "") "${name}: no meta.description"
    ) (lib.unique (programs ++ distributions))
    ++ lib.concatMap (
      name:
      lib.optional ((meta name).mainProgram or "" != name) "${name}: meta.mainProgram is not its name"
    ) programs
    ++ lib.concatMap (
      name:
      lib.optional (
        !(lib.any (license: license.spdxId or "" == "Apache-2.0") (lib.toList ((meta name).license or [ ])))
      ) "${name}: meta.license is not Apache-2.0"
    ) distributions;

  reference = pkgs.writeText "options.md" inputs.self.lib.optionsReference;
in
{
  options = judge "options" aboutOptions;
  secrets = judge "secrets" aboutSecrets;
  meta = judge "meta" aboutPackages;

  options-reference = pkgs.runCommand "ec-check-options-reference" { } ''
    if ! diff -u ${../../docs/options.md} ${reference}; then
      echo "docs/options.md is not what the modules say: nix eval --raw .#lib.optionsReference > docs/options.md" >&2
      exit 1
    fi
    touch $out
  '';
}
