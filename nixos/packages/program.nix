# One of our distributions as a program: with what it runs on its PATH, and without what it is imported by.
{
  lib,
  python3Packages,
  package,
  programs ? [ ],
}:
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
  meta = old.meta // {
    mainProgram = old.pname;
  };
})
