# One of our distributions as a program: with what it runs on its PATH, without what it is imported by, and with its
# manual page and completions, which come from its own command tree.
{
  lib,
  stdenv,
  installShellFiles,
  python3Packages,
  package,
  programs ? [ ],
}:
let
  module = "${lib.replaceStrings [ "-" ] [ "_" ] package.pname}.main";
  # They are told by running it, which a machine of another kind cannot.
  runs = stdenv.buildPlatform.canExecute stdenv.hostPlatform;
in
(python3Packages.toPythonApplication package).overridePythonAttrs (old: {
  # Never a byte-code file beside a module of the store: that would be a path that nobody signed (P44).
  makeWrapperArgs =
    (old.makeWrapperArgs or [ ])
    ++ [
      "--set"
      "PYTHONDONTWRITEBYTECODE"
      "1"
    ]
    ++ lib.optionals (programs != [ ]) [
      "--prefix"
      "PATH"
      ":"
      (lib.makeBinPath programs)
    ];
  nativeBuildInputs = (old.nativeBuildInputs or [ ]) ++ [ installShellFiles ];
  postInstall =
    (old.postInstall or "")
    + lib.optionalString runs ''
      told() {
        PYTHONPATH=$out/${python3Packages.python.sitePackages}:$PYTHONPATH PYTHONDONTWRITEBYTECODE=1 \
          ${python3Packages.python.interpreter} ${../../python/man} "$@" ${module}
      }
      told > ${package.pname}.1
      for shell in bash zsh fish; do
        told --completion $shell > completion.$shell
      done
      installManPage ${package.pname}.1
      installShellCompletion --cmd ${package.pname} --bash completion.bash --zsh completion.zsh --fish completion.fish
    '';
  meta = old.meta // {
    mainProgram = old.pname;
  };
})
