# The overlay: our programs, by the names that `nix build .#NAME` and the modules use.
{ pyproject-nix }:
final: prev: {
  # Into every Python set, so that whoever overrides `python3` keeps them.
  pythonPackagesExtensions = prev.pythonPackagesExtensions ++ [
    (import ./wheels.nix {
      inherit (final) lib fetchPypi;
    })
    (import ./python-set.nix {
      inherit pyproject-nix;
      inherit (final) lib;
    })
  ];

  ec-closure = final.python3Packages.ec-closure;
  ec-fetch = final.python3Packages.ec-fetch;

  ec-netboot = final.callPackage ./program.nix {
    package = final.python3Packages.ec-netboot;
    # What answers TFTP and DHCP
    programs = [ final.dnsmasq ];
  };
  ec-node = final.callPackage ./program.nix {
    package = final.python3Packages.ec-node;
    programs = [ final.ffmpeg-headless ];
  };
  ec-provision = final.callPackage ./program.nix { package = final.python3Packages.ec-provision; };
  ec-release = final.callPackage ./program.nix {
    package = final.python3Packages.ec-release;
    # What reads back from a registry. Nix and git are those of the job.
    programs = [ final.skopeo ];
  };
  ec-verify = final.callPackage ./program.nix {
    package = final.python3Packages.ec-verify;
    # `nsenter` for the ghost. Nix is named by the configuration: it is the Nix that CI evaluated with.
    programs = [ final.util-linux ];
  };
  runner-dashboard = final.callPackage ./program.nix {
    package = final.python3Packages.runner-dashboard;
  };

  runner-dashboard-image = final.callPackage ./dashboard-image.nix { };
  ec-install = final.callPackage ./install.nix { };
  ec-demo = final.callPackage ./demo.nix { };
}
