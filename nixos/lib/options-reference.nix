# optionsReference: docs/options.md. Every option of ours, from the modules themselves, as Markdown.
{ inputs }:
let
  inherit (inputs.nixpkgs) lib;

  inherit
    (inputs.nixpkgs.lib.nixosSystem {
      modules = [
        inputs.self.nixosModules.default
        # Defaults are written as text; which platform they are asked of changes nothing.
        { nixpkgs.hostPlatform = "x86_64-linux"; }
      ];
    })
    options
    ;

  shown = lib.filter (option: option.visible && !option.internal) (
    lib.optionAttrSetToDocList options.services.every-channel
  );

  # NixOS' manual gives roles to code, Markdown does not.
  plain =
    text:
    lib.replaceStrings [ "{file}`" "{option}`" "{command}`" "{env}`" "{var}`" ] (lib.genList (
      _: "`"
    ) 5) (lib.trim (text.text or text));

  value =
    name: it:
    let
      text = lib.trim (it.text or (toString it));
      inline = !(lib.hasInfix "\n" text);
      # Set as it would be in a file
      indented = lib.concatMapStringsSep "\n" (line: if line == "" then "" else "  ${line}") (
        lib.splitString "\n" text
      );
    in
    if it._type or null == "literalMD" then
      "- ${name}: ${plain text}\n"
    else if inline then
      "- ${name}: `${text}`\n"
    else
      "- ${name}:\n\n  ```nix\n${indented}\n  ```\n";

  entry =
    option:
    "### `${option.name}`\n\n${plain option.description}\n\n- Type: `${option.type}`\n"
    + lib.optionalString (option ? default) (value "Default" option.default)
    + lib.optionalString (option ? example) (value "Example" option.example)
    + lib.optionalString option.readOnly "- Read-only\n";

  groups = lib.groupBy (option: lib.elemAt option.loc 2) shown;
  section =
    name: entries:
    "## `services.every-channel.${name}`\n\n${lib.concatMapStringsSep "\n" entry entries}";
in
''
  # Options of the NixOS modules

  Written from the modules by `lib.optionsReference`; a check compares. `nixosModules.default` brings all of them, each
  switched off until its `enable` is set; `services.every-channel.runner.enable` sets those that every runner has.

''
+ lib.concatStringsSep "\n" (lib.mapAttrsToList section groups)
