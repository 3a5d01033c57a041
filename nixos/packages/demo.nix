# `nix run .#demo`: the demonstration, with the Nix and the shell that it needs.
{
  writeShellApplication,
  ec-verify,
  nix,
  pkgsStatic,
  libcap,
  util-linux,
}:
writeShellApplication {
  name = "ec-demo";
  runtimeInputs = [
    ec-verify
    nix
    libcap
    util-linux
  ];
  text = ''
    # The appliance's builders run this shell in the sandbox.
    PATH=${pkgsStatic.bash}/bin:$PATH
    exec ec-verify demo "$@"
  '';
  meta.description = "Build, sign, publish, verify and attack a small appliance";
}
