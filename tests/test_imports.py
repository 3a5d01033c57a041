"""Imports run one way: the package cut is the trust cut."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
PYTHON = ROOT / "python"
PACKAGES = {
    path.name: path for path in [*PYTHON.glob("*/src/*"), *ROOT.glob("app/src/*")] if (path / "__init__.py").exists()
}

# Everything may import ec_closure; these may import ec_fetch, too; nothing else crosses.
BASE = "ec_closure"
FETCHING = {"ec_verify", "ec_release", "ec_netboot", "runner_dashboard"}

CLOCKS = re.compile(
    r"(time\.(time|monotonic|perf_counter|localtime|gmtime|ctime|clock_gettime)(_ns)?"
    r"|(datetime\.)?(datetime|date)\.(now|utcnow|today))"
)
NETWORK = {
    "socket",
    "socketserver",
    "ssl",
    "http",
    "urllib.request",
    "ftplib",
    "smtplib",
    "httpx2",
    "httpx",
    "urllib3",
    "requests",
}
PROGRAMS = {"subprocess", "pty", "multiprocessing", "asyncio"}
NIX = re.compile(r"nix(-[a-z]+)?")


def files(package: str) -> list[Path]:
    """Return the modules of a package."""
    return sorted(PACKAGES[package].rglob("*.py"))


def tree(file: Path) -> ast.Module:
    """Parse a module."""
    return ast.parse(file.read_text(), str(file))


def imports(file: Path) -> Iterator[str]:
    """Yield the full names of what a module imports, wherever in it, for types only or not."""
    for node in ast.walk(tree(file)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}:{node.lineno}: a relative import hides what it imports"
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def importers(package: str, modules: set[str]) -> set[str]:
    """Return the modules of *package*, by their paths in it, that import one of *modules* or what is in them."""
    return {
        str(file.relative_to(PACKAGES[package]))
        for file in files(package)
        if any(name == module or name.startswith(f"{module}.") for name in imports(file) for module in modules)
    }


def called(file: Path) -> Iterator[str]:
    """Yield what a module calls or hands on, as it is written: `time.monotonic`."""
    for node in ast.walk(tree(file)):
        if isinstance(node, ast.Attribute | ast.Name):
            yield ast.unparse(node)


def test_the_packages_are_those_that_are_known() -> None:
    """A new package takes a place in the rule before it takes one in the tree."""
    assert PACKAGES.keys() >= {"ec_closure", "ec_fetch", "ec_release", "ec_verify"}
    assert PACKAGES.keys() <= {BASE, "ec_fetch", "ec_node", "ec_provision", *FETCHING}


@pytest.mark.parametrize("package", PACKAGES)
def test_imports_run_one_way(package: str) -> None:
    """What holds CI keys, what runs on nodes and what faces the web share the pure library and the fetcher alone."""
    allowed = {package, BASE} | ({"ec_fetch"} if package in FETCHING else set())
    if package == BASE:
        allowed = {BASE}
    for file in files(package):
        crossing = {name.split(".")[0] for name in imports(file)} & PACKAGES.keys()
        assert crossing <= allowed, f"{file} imports {crossing - allowed}"


@pytest.mark.parametrize("package", PACKAGES)
def test_nothing_is_imported_by_a_name_made_at_run_time(package: str) -> None:
    """It would pass under the rule."""
    for file in files(package):
        assert not {"__import__", "importlib.import_module", "import_module"} & set(called(file)), file


def test_verifier_and_publisher_do_not_know_each_other() -> None:
    """Nodes never hold what CI holds; they meet in files."""
    assert importers("ec_verify", {"ec_release"}) == set()
    assert importers("ec_release", {"ec_verify"}) == set()


def test_the_pure_library_reaches_for_nothing() -> None:
    """No network, no programs."""
    assert importers(BASE, NETWORK | PROGRAMS) == set()


def test_the_pure_library_reads_no_clock() -> None:
    """Time is an argument: what is judged again later is judged the same."""
    assert importers(BASE, {"time"}) == set()
    for file in files(BASE):
        assert not [name for name in called(file) if CLOCKS.fullmatch(name)], file


def test_the_judge_is_a_function_of_what_it_is_given() -> None:
    """No clock, disk, network or program in the package that says passed or failed."""
    judging = [file for file in files("ec_verify") if file.parent.name == "judge"]
    assert judging
    for file in judging:
        assert not {name.split(".")[0] for name in imports(file)} & (
            NETWORK | PROGRAMS | {"os", "pathlib", "time", "io"}
        )
        assert not [name for name in called(file) if CLOCKS.fullmatch(name) or name == "open"], file


def test_one_module_of_the_publisher_starts_programs() -> None:
    """The one that takes the job's tokens out of the environment, and ends what it started."""
    # The other starts this very interpreter, to hash in.
    assert importers("ec_release", PROGRAMS) == {"program.py", "closure/disk.py"}


def is_demo(module: str) -> bool:
    """Tell whether a module of ec_verify belongs to the demonstration, which plays CI and attacker, too."""
    return module.startswith("demo/") or module == "commands/demo.py"


def test_one_module_of_the_verifier_starts_nix() -> None:
    """The one that names the store, the configuration and the environment: no other can forget to (design §6)."""
    starting = {module for module in importers("ec_verify", PROGRAMS) if not is_demo(module)}
    # Two start this very interpreter, on a file and a line of ours; one the diffoscope that somebody asked for.
    assert starting == {"ghost/nix.py", "ghost/namespace.py", "scan/pool.py", "explain/diffoscope.py"}
    for file in files("ec_verify"):
        module = str(file.relative_to(PACKAGES["ec_verify"]))
        if is_demo(module) or module == "ghost/nix.py":
            continue
        for node in ast.walk(tree(file)):
            if isinstance(node, ast.List | ast.Tuple) and node.elts and isinstance(node.elts[0], ast.Constant):
                assert not NIX.fullmatch(str(node.elts[0].value)), f"{file}:{node.lineno} is a command line of nix"
        assert not [
            name for name in called(file) if re.fullmatch(r"os\.(system|popen|exec.*|spawn.*|posix_spawn.*)", name)
        ]


def test_one_module_a_package_speaks_http() -> None:
    """Time-outs, redirects and tokens are dealt with in one place each."""
    speaking = {f"{package}/{module}" for package in PACKAGES for module in importers(package, {"httpx2"})}

    assert {name for name in speaking if not name.startswith("runner_dashboard/")} == {
        "ec_fetch/fetcher.py",
        "ec_node/client.py",
        "ec_provision/fetch.py",
        "ec_release/backend/forgejo/http.py",
        "ec_verify/report/submit.py",
    }


def test_the_boot_server_starts_one_program_and_stages_with_none() -> None:
    """What unpacks archives speaks to nobody and starts nothing; what starts dnsmasq needs no library at all."""
    assert importers("ec_netboot", {"subprocess", "multiprocessing", "pty"}) == {"boot/keeper.py"}
    assert not [module for module in importers("ec_netboot", NETWORK | PROGRAMS) if module.startswith("staging/")]
    assert importers("ec_netboot", {"tarfile"}) == set()
    keeper = PACKAGES["ec_netboot"] / "boot" / "keeper.py"
    assert {name.split(".")[0] for name in imports(keeper)} <= set(sys.stdlib_module_names)
