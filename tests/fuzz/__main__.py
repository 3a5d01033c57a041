"""`./dev fuzz TARGET … [--runs N] [--engine mutate|hypothesis|atheris] [--seed N]`: readers under fire.

One row for each target on standard output; exits with 1 when something broke. Each target has a process of its own,
so that its memory is its own.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NoReturn

from tests.fuzz import corpus, engine

_HEAD = (
    "| reader | engine | inputs | accepted | seconds | peak MiB | slowest ms | broken |\n"
    "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |\n"
)
_INSTRUMENTED = ("ec_closure", "ec_fetch", "ec_verify", "tomllib")


def main() -> int:
    """Parse the command line and fire."""
    parser = argparse.ArgumentParser(prog="./dev fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help="readers, or a file to fire once; all when none")
    parser.add_argument("--runs", type=int, default=20_000, help="inputs for each [20000]")
    parser.add_argument("--engine", choices=engine.ENGINES, default="mutate")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, default=Path(tempfile.gettempdir()) / "ec-fuzz", help="for what breaks")
    parser.add_argument("--input", type=Path, help="fire this file alone, and show what happens")
    parser.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.engine == "atheris" and importlib.util.find_spec("atheris") is None:
        parser.error("atheris is not installed: put it on PYTHONPATH, see CONTRIBUTING.md")
    if options.alone:
        return _alone(options)
    from tests.fuzz.targets import TARGETS

    if unknown := sorted(set(options.targets) - TARGETS.keys()):
        parser.error(f"no such reader: {', '.join(unknown)}; there are {', '.join(TARGETS)}")
    if options.input is not None:
        for name in options.targets:
            sys.stdout.write(f"{name}: {'accepted' if TARGETS[name].fire(options.input.read_bytes()) else 'refused'}\n")
        return 0
    sys.stdout.write(_HEAD)
    sys.stdout.flush()
    codes = [
        subprocess.run([sys.executable, "-m", "tests.fuzz", name, "--alone", *_passed(options)], check=False).returncode
        for name in options.targets or TARGETS
    ]
    return int(any(codes))


def _passed(options: argparse.Namespace) -> list[str]:
    return [
        word
        for name in ("runs", "engine", "seed", "keep")
        for word in (f"--{name}", str(getattr(options, name)))
    ]  # fmt: skip


def _alone(options: argparse.Namespace) -> int:
    name = options.targets[0]
    real = corpus.real().get(name, [])
    if options.engine == "atheris":
        import atheris

        with atheris.instrument_imports(include=list(_INSTRUMENTED), enable_loader_override=False):
            from tests.fuzz.targets import TARGETS
    else:
        from tests.fuzz.targets import TARGETS
    target = TARGETS[name]
    watch = engine.Watch(target, options.engine, options.keep)
    match options.engine:
        case "mutate":
            engine.mutate(target, options.runs, options.seed, real, watch)
        case "hypothesis":
            engine.hypothesis(target, options.runs, options.seed, real, watch)
        case _:
            with tempfile.TemporaryDirectory(prefix="ec-fuzz-corpus-") as directory:
                place = Path(directory)

                def end() -> NoReturn:
                    shutil.rmtree(place)
                    os._exit(_tell(watch))

                engine.atheris(target, options.runs, options.seed, real, watch, corpus=place, end=end)
    return _tell(watch)


def _tell(watch: engine.Watch) -> int:
    outcome = watch.finish()
    sys.stdout.write(outcome.row() + "\n")
    sys.stdout.flush()
    return int(bool(outcome.failures))


sys.exit(main())
