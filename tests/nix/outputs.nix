# What tests/nix/evaluate asks Nix: every output of one system, one after the other. Names are traced before and after, so
# that a failure has a name and a duration.
{
  system,
  # Also what belongs to no system
  first,
  # Names begin with one of these; done ones are left out.
  prefixes,
  done,
  # So many at one time: what was evaluated is not forgotten while Nix runs
  limit,
  begin,
  end,
}:
flake:
let
  inherit (builtins)
    all
    any
    attrNames
    concatMap
    elem
    elemAt
    filter
    foldl'
    genList
    getContext
    length
    seq
    stringLength
    substring
    toJSON
    trace
    typeOf
    ;

  perSystem = [
    "apps"
    "checks"
    "devShells"
    "packages"
  ];

  derivation =
    value: if value.type or null == "derivation" then value.drvPath else throw "is no derivation";
  program =
    value:
    let
      context = attrNames (getContext value.program);
    in
    if value.type != "app" then
      throw "is no app"
    else if length context != 1 then
      throw "is no program of the store"
    else
      builtins.head context;
  system' = value: value.config.system.build.toplevel.drvPath;
  platform = value: value.config.nixpkgs.hostPlatform.system;
  # Functions and such: what can be asked of them without calling them
  forced = value: seq value "a ${typeOf value}";

  wanted =
    output:
    !(elem output done)
    && (prefixes == [ ] || any (prefix: substring 0 (stringLength prefix) output == prefix) prefixes);
  # Whether a prefix leads into a kind of outputs, or a kind into a prefix: names cost an evaluation, too.
  open =
    kind:
    let
      agree = one: two: substring 0 (stringLength one) two == one;
    in
    prefixes == [ ] || any (prefix: agree prefix "${kind}." || agree "${kind}." prefix) prefixes;

  named =
    kind: get: attrs:
    if !(open kind) then
      [ ]
    else
      filter (row: wanted row.output) (
        map (name: {
          output = "${kind}.${name}";
          value = attrs.${name};
          inherit get;
        }) (attrNames attrs)
      );

  rows =
    concatMap (
      kind:
      named "${kind}.${system}" (if kind == "apps" then program else derivation) (
        flake.${kind}.${system} or { }
      )
    ) perSystem
    ++ filter (row: row.output == "formatter.${system}") (
      named "formatter" derivation (flake.formatter or { })
    )
    ++ filter (row: platform row.value == system) (
      named "nixosConfigurations" system' (flake.nixosConfigurations or { })
    )
    ++ (
      if first then
        concatMap (kind: named kind forced flake.outputs.${kind}) (
          filter (
            kind:
            all (other: kind != other) (
              perSystem
              ++ [
                "formatter"
                "nixosConfigurations"
              ]
            )
          ) (attrNames flake.outputs)
        )
      else
        [ ]
    );

  evaluate =
    row:
    trace "${begin}${toJSON row.output}" (
      let
        drv = row.get row.value;
      in
      seq drv (
        trace "${end}${
          # Only its name: what it depends on is not asked for here.
          toJSON (builtins.unsafeDiscardStringContext drv)
        }" null
      )
    );
in
foldl' (before: row: seq before (evaluate row)) null (
  genList (elemAt rows) (if length rows < limit then length rows else limit)
)
