# The dashboard as a container image, made from the same package. It is built and tested, and not what is published: the
# image that operators run comes from app/Dockerfile, and `meta.ci.publish` says so to CI (docs/decisions/0014).
{
  lib,
  cacert,
  dockerTools,
  runner-dashboard,
  skopeo,
  tzdata,
  writeShellApplication,
}:
let
  user = "10001";
  state = "/var/lib/runner-dashboard";

  image = dockerTools.buildLayeredImage {
    name = "runner-dashboard";
    # No time, no revision: the same source makes the same bytes. Which commit it is, the tag says that CI gives it.
    tag = "latest";
    contents = [
      cacert
      dockerTools.fakeNss
    ];
    # The root file system may be read-only: these two are where it writes.
    fakeRootCommands = ''
      mkdir -p -m 1777 tmp
      mkdir -p .${state}
      chown ${user}:${user} .${state}
    '';
    config = {
      Entrypoint = [ (lib.getExe runner-dashboard) ];
      Cmd = [ "serve" ];
      User = "${user}:${user}";
      WorkingDir = state;
      Env = [
        "SSL_CERT_FILE=${cacert}/etc/ssl/certs/ca-bundle.crt"
        "TZDIR=${tzdata}/share/zoneinfo"
        # Inside a container, loopback is nobody's.
        "RUNNER_DASHBOARD_SERVER_HOST=0.0.0.0"
      ];
      ExposedPorts."8080/tcp" = { };
      Volumes.${state} = { };
      Healthcheck = {
        Test = [
          "CMD"
          (lib.getExe runner-dashboard)
          "healthcheck"
        ];
        # In nanoseconds
        Interval = 30 * 1000000000;
        Timeout = 5 * 1000000000;
        StartPeriod = 10 * 1000000000;
        Retries = 3;
      };
      Labels = {
        "org.opencontainers.image.title" = "runner-dashboard";
        "org.opencontainers.image.licenses" = "Apache-2.0";
        "org.opencontainers.image.version" = runner-dashboard.version;
      };
    };
  };

  # `nix run .#runner-dashboard-image.passthru.copyTo -- docker://REGISTRY/NAME:TAG` (ADR-002). More arguments are skopeo's.
  copyTo = writeShellApplication {
    name = "copy-to";
    runtimeInputs = [ skopeo ];
    text = ''
      if [ $# -eq 0 ]; then
        echo "usage: copy-to DESTINATION [ARGUMENTS OF SKOPEO COPY]" >&2
        echo "for example: copy-to docker://registry.example.org/every-channel/runner-dashboard:git-0123abc" >&2
        exit 2
      fi
      # The policy is about sources, and ours is a path of the store.
      exec skopeo copy --insecure-policy --preserve-digests=false docker-archive:${image} "$@"
    '';
    meta.description = "Copy the image to a registry, with skopeo";
  };
in
image.overrideAttrs (old: {
  passthru = (old.passthru or { }) // {
    inherit copyTo;
  };
  meta = (old.meta or { }) // {
    description = "The dashboard as a container image";
    ci.publish = false;
  };
})
