# The most that `systemd-analyze security` may say of each of our units, in tenths. What is not here must not exist.
{
  ec-verify-fetch = 20;
  ec-verify-submit = 20;
  # Reads every file as root, and what processes execute
  ec-verify-bytes = 25;
  # Make namespaces and start builders, who inherit every filter
  ec-verify-source = 55;
  ec-verify-rebuild = 55;
  # Sets the host name and writes who may log in
  ec-provision = 40;
  ec-netboot = 20;
  ec-netboot-boot = 20;
  ec-netboot-stage = 20;
  "ec-node@" = 20;
  ec-node-broadcasts = 20;
  runner-dashboard = 20;
}
