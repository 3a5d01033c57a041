# Our distributions as members of a Python set. Their pyproject.toml files are the only description: dependencies come
# from nixpkgs' set, by name, so that a node finds them in the ordinary binary cache (docs/decisions/0013).
{ pyproject-nix, lib }:
python-final: _:
let
  inherit (python-final) python;

  distribution =
    root:
    let
      project = pyproject-nix.lib.project.loadPyproject { projectRoot = root; };
      attrs = project.renderers.buildPythonPackage {
        inherit python;
        pythonPackages = python-final;
      };
    in
    python-final.buildPythonPackage (
      attrs
      // {
        # By content: another file of the repository changes nothing here.
        src = lib.fileset.toSource {
          inherit root;
          fileset = lib.fileset.unions [
            (root + "/pyproject.toml")
            (lib.fileset.fileFilter (
              file:
              lib.any file.hasExt [
                "py"
                "typed"
                "html"
                "css"
                "js"
                "svg"
                "mako"
                "ini"
              ]
            ) (root + "/src"))
          ];
        };
        pythonImportsCheck = [ (lib.replaceStrings [ "-" ] [ "_" ] attrs.pname) ];
        meta = attrs.meta // {
          license = lib.licenses.asl20;
          platforms = lib.platforms.linux;
        };
      }
    );
in
lib.mapAttrs (_: distribution) {
  ec-closure = ../../python/ec-closure;
  ec-fetch = ../../python/ec-fetch;
  ec-netboot = ../../python/ec-netboot;
  ec-node = ../../python/ec-node;
  ec-provision = ../../python/ec-provision;
  ec-release = ../../python/ec-release;
  ec-verify = ../../python/ec-verify;
  runner-dashboard = ../../app;
}
