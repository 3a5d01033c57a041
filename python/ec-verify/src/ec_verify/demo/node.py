"""A machine of the demonstration: a root directory with a store and links, as a running system has them."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ec_verify.demo import machine
from ec_verify.demo.errors import DemoError
from ec_verify.demo.store import remove

if TYPE_CHECKING:
    from pathlib import Path

    from ec_verify.demo.ci import Release
    from ec_verify.demo.lab import Lab
    from ec_verify.demo.programs import Ran

_LINKS = (
    ("run/current-system", "{toplevel}"),
    ("run/booted-system", "{toplevel}"),
    ("nix/var/nix/profiles/system", "system-1-link"),
    ("nix/var/nix/profiles/system-1-link", "{toplevel}"),
)


@dataclass
class Node:
    """One machine, below *directory*; its file system is *root*.

    An attack may set *environment*, *wrapper* (words in front of the verifier's command) and *arguments* (behind it),
    names in *attacked* the store paths that it touched, keeps in *memory* what it wants to see again, and hangs on
    *cleanup* what must be undone.
    """

    lab: Lab
    name: str
    directory: Path
    release: Release
    environment: dict[str, str] = field(default_factory=dict)
    wrapper: list[str] = field(default_factory=list)
    arguments: list[str] = field(default_factory=list)
    attacked: list[str] = field(default_factory=list)
    memory: dict[str, object] = field(default_factory=dict)
    cleanup: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    @property
    def root(self) -> Path:
        """The machine's file system."""
        return self.directory / "root"

    @property
    def database(self) -> Path:
        """The store's database file."""
        return self.root / "nix/var/nix/db/db.sqlite"

    @property
    def home(self) -> dict[str, str]:
        """The variables that give a program a home of this node's own, with caches of its own."""
        home = self.directory / "home"
        return {"HOME": str(home), "XDG_CACHE_HOME": str(home / "cache")}

    @property
    def state(self) -> Path:
        """The verifier's own state."""
        return self.directory / "state"

    @property
    def policy(self) -> Path:
        """The operator's policy."""
        return self.directory / "policy.toml"

    @property
    def config(self) -> Path:
        """The verifier's configuration."""
        return self.directory / "verify.toml"

    def physical(self, path: str) -> Path:
        """Return where the bytes of the logical *path* are."""
        return self.root / path.lstrip("/")

    def path(self, name: str) -> str:
        """Return the store path called *name* of the release that runs here."""
        return self.release.path(name)

    @property
    def source(self) -> str:
        """The store path of the embedded flake."""
        return self.release.manifest.source.store_path

    @property
    def locked_input(self) -> str:
        """The store path of the flake's one input."""
        return self.release.manifest.source.inputs["channels"].store_path

    def install(self, release: Release, url: str) -> None:
        """Let the machine fetch *release* from the cache at *url*, check signatures, and run it."""
        self.release = release
        key = self.lab.ci.cache_key.public.render()
        self.lab.programs.run(
            [
                *("nix", "copy", "--from", f"{url}/cache", "--to", self.root, release.toplevel),
                *("--option", "trusted-public-keys", key),
            ]
        )
        for name, target in _LINKS:
            link = self.root / name
            link.parent.mkdir(parents=True, exist_ok=True)
            link.unlink(missing_ok=True)
            link.symlink_to(target.format(toplevel=release.toplevel))
        machine.furnish(self.root, release.toplevel)

    def add_build_inputs(self) -> None:
        """Add the derivations and build inputs of what runs here, as comparing builds with `nix` needs."""
        run, built_in = self.lab.programs.run, self.release.built_in
        drv = self.release.manifest.system.drv_path
        requisites = ["--query", "--requisites", "--include-outputs", drv]
        everything = run(["nix-store", "--store", built_in, *requisites]).stdout.split()
        copy = ["nix", "copy", "--no-check-sigs", "--from", str(built_in), "--to", str(self.root)]
        # A derivation's path means its outputs to some releases of Nix, unless told otherwise.
        run([*copy, "--derivation", drv])
        run([*copy, *(path for path in everything if not path.endswith(".drv"))])

    def reinstall(self, release: Release, url: str) -> None:
        """Start over with *release* on an empty disk."""
        remove(self.root)
        self.install(release, url)

    def configure(self, url: str, **tables: dict[str, Any]) -> None:
        """Write the verifier's configuration; releases and cache are served at *url*. *tables* add to it."""
        config: dict[str, Any] = {
            "schema": "ec-runner.verify.v1",
            "node": self.name,
            "node_file": "",
            "state_dir": str(self.state),
            "policy": str(self.policy),
            "store": {"root": str(self.root)},
            "trust": {
                "root": str(self.directory / "root.json"),
                "metadata_base": f"{url}/releases/download/trust/",
                "target_base": f"{url}/releases/download/",
            },
            "nix": {"sandbox_paths": list(self.lab.ci.sandbox_paths), "substituters": [f"{url}/cache"]},
        }
        self.config.write_text(_toml(config | {name: config.get(name, {}) | table for name, table in tables.items()}))

    def write_policy(self, more: dict[str, Any] | None = None, *, register_expires: str = "2099-12-31") -> None:
        """Write the operator's policy: the register knows the one path that cannot be reproduced."""
        keys = [self.lab.ci.cache_key.public.render(), self.lab.ci.upstream_key.public.render()]
        policy = {"schema": "ec-runner.policy.v1", "level": "bytes", "cache_keys": keys, **(more or {})}
        # A difference that the register does not explain is a failure here, not just worth a look.
        policy.setdefault("severity", {"EV501": "fail"})
        entry = {
            "pattern": "dhparams",
            "owner": "release engineering",
            "reason": "every build draws new numbers",
        }
        self.policy.write_text(
            _toml(policy) + "\n[[unreproducible]]\n" + _toml(entry) + f"expires = {register_expires}\n"
        )


@dataclass(frozen=True)
class Result:
    """What `ec-verify run` answered."""

    ran: Ran
    report: dict[str, Any]

    @property
    def exit(self) -> int:
        """The exit code."""
        return self.ran.exit

    @property
    def stderr(self) -> str:
        """What it logged."""
        return self.ran.stderr

    @property
    def verdict(self) -> str:
        """`passed`, `failed` or `undecided`."""
        return str(self.report["verdict"])

    @property
    def codes(self) -> set[str]:
        """The codes of all findings."""
        return {finding["code"] for finding in self.report["findings"]}

    @property
    def weighty(self) -> set[str]:
        """The codes of findings that are more than information."""
        return {finding["code"] for finding in self.report["findings"] if finding["severity"] != "info"}

    @property
    def paths(self) -> dict[str, str]:
        """The verdict on each path."""
        return dict(self.report["paths"])

    def codes_of(self, path: str) -> set[str]:
        """Return the codes of the findings that name *path*."""
        return {
            finding["code"]
            for finding in self.report["findings"]
            if path in (finding.get("path") or "") or path in finding["message"]
        }

    @classmethod
    def of(cls, ran: Ran) -> Result:
        """Read the answer. Raises `DemoError` when there is none."""
        try:
            report = json.loads(ran.stdout)
        except ValueError as error:
            said = (ran.said.strip().splitlines() or ["it said nothing"])[-1]
            raise DemoError(f"no report (exit code {ran.exit}): {said}", place=ran.shown) from error
        return cls(ran, report)


def _toml(table: dict[str, Any], prefix: str = "") -> str:
    """Return *table* as TOML; JSON spells strings and lists of strings the same way."""
    flat = "".join(f"{key} = {json.dumps(value)}\n" for key, value in table.items() if not isinstance(value, dict))
    nested = "".join(
        f"\n[{prefix}{key}]\n{_toml(value, f'{prefix}{key}.')}"
        for key, value in table.items()
        if isinstance(value, dict)
    )
    return flat + nested
