# The HTTP client for releases of nixpkgs that have none: it is younger than nixos-26.05. From the wheels that
# requirements.lock pins, with the same hashes (tests/test_locks.py). Where nixpkgs has it, nixpkgs' is taken.
{ lib, fetchPypi }:
python-final: python-prev:
let
  wheel =
    {
      pname,
      version,
      hash,
      dependencies,
    }:
    python-final.buildPythonPackage {
      inherit pname version dependencies;
      format = "wheel";
      src = fetchPypi {
        inherit pname version hash;
        format = "wheel";
        dist = "py3";
        python = "py3";
      };
      pythonImportsCheck = [ pname ];
      meta = {
        description = "HTTP client with the interface of httpx";
        homepage = "https://github.com/pydantic/httpx2";
        license = lib.licenses.bsd3;
      };
    };
in
lib.filterAttrs (name: _: !(python-prev ? ${name})) {
  httpcore2 = wheel {
    pname = "httpcore2";
    version = "2.3.0";
    hash = "sha256-R36eM0905SQNysAC6JBYDzalfUD/D7FMyWVXMdI7hBU=";
    dependencies = with python-final; [
      h11
      truststore
    ];
  };
  httpx2 = wheel {
    pname = "httpx2";
    version = "2.3.0";
    hash = "sha256-bzk2Y7322+f+kBGOPrWyvQJKZ1yuA5CsCM7JGYgS2Lc=";
    dependencies = with python-final; [
      anyio
      httpcore2
      idna
      truststore
    ];
  };
}
