# `runner-dashboard` as a service: one process, one address, one directory. Something in front of it speaks TLS.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkOption types;
  cfg = config.services.every-channel.dashboard;
  toml = pkgs.formats.toml { };
  noSecret = import ./no-secret.nix { inherit lib; };

  checked = import ./checked-toml.nix { inherit pkgs; } {
    name = "dashboard.toml";
    inherit (cfg) settings;
    program = pkgs.buildPackages.runner-dashboard or cfg.package;
    check = "runner-dashboard check --config";
  };

  program = lib.getExe cfg.package;
  arguments = "--config /etc/runner-dashboard/dashboard.toml";

  # Both units are the same user, who owns the state directory and nothing else.
  hardened = import ./hardened.nix // {
    User = "runner-dashboard";
    DynamicUser = true;
    StateDirectory = "runner-dashboard";
    StateDirectoryMode = "0700";
    UMask = "0077";
    CapabilityBoundingSet = "";
    AmbientCapabilities = "";
    PrivateUsers = true;
  };
in
{
  options.services.every-channel.dashboard = {
    enable = lib.mkEnableOption "the dashboard: it takes the signed reports of nodes and shows what the fleet proves";

    package = lib.mkPackageOption pkgs "runner-dashboard" { };

    listenAddress = mkOption {
      type = types.strMatching "[0-9A-Fa-f.:]+";
      default = "127.0.0.1";
      example = "::1";
      description = ''
        The address that is listened on. Tokens and cookies travel in the clear here: on any other address than loopback,
        only what speaks TLS to the world may reach it.
      '';
    };

    port = mkOption {
      type = types.port;
      default = 8080;
      description = "The port that is listened on. No firewall is opened for it.";
    };

    publicUrl = mkOption {
      type = types.nullOr (types.strMatching "https?://[A-Za-z0-9.:_-]+");
      default = null;
      example = "https://dashboard.example.org";
      description = ''
        What browsers and nodes call it, without a slash at the end. With `https`, session cookies are sent over TLS alone,
        so that signing in by any other way fails.
      '';
    };

    bootstrapTokenFile = mkOption {
      type = types.nullOr (types.strMatching "/.+");
      default = null;
      example = "/run/keys/dashboard-token";
      description = ''
        A file outside the store that holds an administrator's token, as `runner-dashboard token generate` prints one. It is
        handed to the service as a credential, and replaced at each start by what the file holds then. Null: a token is made
        at first start and written to the journal, where whoever reads the journal can read it.
      '';
    };

    clientSecretFile = mkOption {
      type = types.nullOr (types.strMatching "/.+");
      default = null;
      example = "/run/keys/dashboard-client-secret";
      description = ''
        A file outside the store with the secret by which the service of `settings.sign_in` knows the dashboard. It is handed
        to the service as a credential. Null: `settings.sign_in` names a file itself, or nobody signs in elsewhere.
      '';
    };

    databaseUrlFile = mkOption {
      type = types.nullOr (types.strMatching "/.+");
      default = null;
      example = "/run/keys/dashboard-database";
      description = ''
        A file outside the store whose first line is the address of a PostgreSQL database, such as
        `postgresql:///fleet?host=/run/postgresql`. It may hold a password, and is handed to the service as a credential.
        Several machines may serve one database. Null: SQLite in {file}`/var/lib/runner-dashboard`.
      '';
    };

    backup = mkOption {
      type = types.nullOr (types.strMatching ".+");
      default = null;
      example = "daily";
      description = ''
        When a checked copy of the database is written to {file}`/var/lib/runner-dashboard/backup.sqlite` (systemd.time(7)),
        in the place of the last one. It needs as much room as the database. Null: never. PostgreSQL has `pg_dump`.
      '';
    };

    settings = mkOption {
      type = types.submodule { freeformType = toml.type; };
      default = { };
      example = lib.literalExpression "{ fleet.silent_after = 86400; ingest.reports_per_minute = 10; }";
      description = ''
        {file}`dashboard.toml`, see docs/dashboard.md; checked when the system is built. What other options of this module
        say is there already. Files with secrets are named, never written here: the store is readable by everybody.
      '';
    };
  };

  config = lib.mkIf cfg.enable {
    assertions = [
      (noSecret "services.every-channel.dashboard.bootstrapTokenFile" cfg.bootstrapTokenFile)
      (noSecret "services.every-channel.dashboard.clientSecretFile" cfg.clientSecretFile)
      (noSecret "services.every-channel.dashboard.databaseUrlFile" cfg.databaseUrlFile)
      {
        assertion = cfg.backup == null || cfg.databaseUrlFile == null;
        message = "services.every-channel.dashboard.backup copies an SQLite file; with databaseUrlFile, use services.postgresqlBackup.";
      }
    ];

    services.every-channel.dashboard.settings = lib.mkMerge [
      {
        server.host = cfg.listenAddress;
        server.port = cfg.port;
        log.form = lib.mkDefault "json";
      }
      (lib.mkIf (cfg.publicUrl != null) { server.public_url = cfg.publicUrl; })
      (lib.mkIf (cfg.clientSecretFile != null) {
        sign_in.client_secret_file = "/run/credentials/runner-dashboard.service/client-secret";
      })
      (lib.mkIf (cfg.databaseUrlFile != null) {
        database.url_file = "/run/credentials/runner-dashboard.service/database-url";
      })
      (lib.mkIf (cfg.bootstrapTokenFile != null) {
        identity.bootstrap_token_file = "/run/credentials/runner-dashboard.service/bootstrap-token";
      })
    ];

    environment.etc."runner-dashboard/dashboard.toml".source = checked;
    environment.systemPackages = [ cfg.package ];

    systemd.services.runner-dashboard = {
      description = "Dashboard of a fleet of runners";
      wantedBy = [ "multi-user.target" ];
      wants = [ "network-online.target" ];
      after = [ "network-online.target" ];
      restartTriggers = [ checked ];
      serviceConfig =
        hardened
        // {
          Type = "exec";
          ExecStart = "${program} serve ${arguments}";
          Restart = "on-failure";
          RestartSec = 5;
          # `server.grace`, and time to finish what is to be written
          TimeoutStopSec = 60;
          MemoryMax = lib.mkDefault "1G";
          TasksMax = 256;
          RestrictAddressFamilies = [
            "AF_INET"
            "AF_INET6"
          ]
          # A server on this machine listens on a socket in the file system.
          ++ lib.optional (cfg.databaseUrlFile != null) "AF_UNIX";
          SocketBindAllow = "tcp:${toString cfg.port}";
          SocketBindDeny = "any";
        }
        // {
          LoadCredential =
            lib.optional (cfg.bootstrapTokenFile != null) "bootstrap-token:${cfg.bootstrapTokenFile}"
            ++ lib.optional (cfg.clientSecretFile != null) "client-secret:${cfg.clientSecretFile}"
            ++ lib.optional (cfg.databaseUrlFile != null) "database-url:${cfg.databaseUrlFile}";
        };
    };

    systemd.services.runner-dashboard-backup = lib.mkIf (cfg.backup != null) {
      description = "Copy the dashboard's database";
      after = [ "runner-dashboard.service" ];
      startAt = cfg.backup;
      serviceConfig = hardened // {
        Type = "oneshot";
        ExecStart = "${program} backup ${arguments} /var/lib/runner-dashboard/backup.sqlite";
        PrivateNetwork = true;
        IPAddressDeny = "any";
        RestrictAddressFamilies = "none";
        Nice = 10;
      };
    };
  };
}
