# Whom a program that fetches releases believes, and where releases are: the options, and what they come to in its TOML.
# Not a module: a function.
{ lib }:
let
  inherit (lib) mkOption types;
  noSecret = import ./no-secret.nix { inherit lib; };
  address = types.strMatching "https?://[^[:space:]@?#]+/";
in
{
  # *root* says what follows from the root, and what happens without it.
  options = root: {
    root = mkOption {
      type = types.nullOr types.path;
      default = null;
      example = lib.literalExpression "./root.json";
      description = root;
    };
    metadataBase = mkOption {
      type = types.nullOr address;
      default = null;
      example = "https://forge.example.org/every-channel/runner/releases/download/trust/";
      description = "Where `timestamp.json` and the other signed metadata are. Ends with a slash, holds no password.";
    };
    targetBase = mkOption {
      type = types.nullOr address;
      default = null;
      example = "https://forge.example.org/every-channel/runner/releases/download/";
      description = "Where releases are: this, the tag, a slash, the asset.";
    };
    tokenFile = mkOption {
      type = types.nullOr (types.strMatching "/.+");
      default = null;
      example = "/run/keys/release-token";
      description = ''
        A file outside the store that holds an access token alone, for releases that are not public. It is handed to the
        fetching unit as a credential.
      '';
    };
  };

  # *below* is what the options *cfg* are called.
  assertions = below: cfg: [
    {
      assertion = (cfg.metadataBase == null) == (cfg.targetBase == null);
      message = "${below}: metadataBase and targetBase go together.";
    }
    (noSecret "${below}.tokenFile" cfg.tokenFile)
  ];

  # *unit* is what fetches, and has the token as its credential `release-token`.
  settings =
    unit: cfg:
    lib.mkMerge [
      (lib.mkIf (cfg.root != null) { trust.root = "${cfg.root}"; })
      (lib.mkIf (cfg.metadataBase != null) {
        trust.metadata_base = cfg.metadataBase;
        trust.target_base = cfg.targetBase;
      })
      (lib.mkIf (cfg.tokenFile != null) {
        trust.token_file = "/run/credentials/${unit}.service/release-token";
      })
    ];
}
