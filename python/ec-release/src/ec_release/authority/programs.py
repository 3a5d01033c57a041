"""What a command line runs in the end: behind `sudo`, `env`, `xargs`, `sh -c`, `nix run … --` and the like. Pure."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass

_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=.*", re.DOTALL)
_SHELLS = frozenset(["sh", "bash", "dash", "zsh", "ash"])
_WITH_VALUE = {
    # Options of wrappers that take the next word.
    "sudo": frozenset(["-u", "-g", "-h", "-p", "-C", "-T", "-D", "-R", "-U", "-r", "-t"]),
    "env": frozenset(["-u", "-C", "-S", "--unset", "--chdir"]),
    "nice": frozenset(["-n", "--adjustment"]),
    "ionice": frozenset(["-c", "-n", "-p"]),
    "timeout": frozenset(["-k", "-s", "--kill-after", "--signal"]),
    "xargs": frozenset(
        [
            "-a",
            "-d",
            "-E",
            "-I",
            "-L",
            "-n",
            "-P",
            "-s",
            "--max-args",
            "--max-procs",
            "--max-lines",
            "--replace",
            "--delimiter",
        ]
    ),
    "stdbuf": frozenset(["-i", "-o", "-e"]),
    "doas": frozenset(["-u", "-C"]),
    "chroot": frozenset(),
    "exec": frozenset(["-a"]),
    "command": frozenset(),
    "builtin": frozenset(),
    "nohup": frozenset(),
    "setsid": frozenset(),
    "time": frozenset(["-f", "-o"]),
    "retry": frozenset(["-t", "-d", "-n"]),
    "unbuffer": frozenset(),
    "catchsegv": frozenset(),
}
_POSITIONAL = {"timeout": 1, "chroot": 1}
_RUNNERS = frozenset(["uv", "poetry", "pdm", "hatch", "pipenv", "rye"])
_NIX_VALUE = frozenset(
    [
        "--store",
        "--extra-experimental-features",
        "--experimental-features",
        "--reference-lock-file",
        "--max-jobs",
        "--cores",
        "-j",
        "--system",
        "--include",
        "-I",
        "--profile",
        "--builders",
        "--eval-store",
        "--accept-flake-config",
    ]
)
_NIX_TWO = frozenset(["--option", "--override-input", "--arg", "--argstr"])
_CONTAINERS = frozenset(["docker", "podman", "nerdctl"])
_TOOLS = ("skopeo", "crane", "gcrane", "regctl", "oras", "cosign", "trivy", "buildah", "grype")
MAX_LAYERS = 12


@dataclass(frozen=True)
class Program:
    """A program with its arguments, or a *script* that a shell is given, with the arguments that it finds.

    *installable* is what `nix run` was given, where it was.
    """

    words: tuple[str, ...] = ()
    script: str | None = None
    installable: str = ""

    @property
    def name(self) -> str:
        """What is run, without its directory."""
        return posixpath.basename(self.words[0]) if self.words else ""


def unwrap(words: tuple[str, ...]) -> Program:
    """Return what *words* run in the end."""
    installable = ""
    for _ in range(MAX_LAYERS):
        if not words:
            break
        name, rest = posixpath.basename(words[0]), words[1:]
        if name == "nix":
            inner, found = _nix(rest)
            if inner is None:
                return Program(words, installable=found)
            words, installable = inner, found
        elif name in _CONTAINERS and rest[:1] == ("run",):
            inner = _contained(rest)
            if inner is None:
                break
            words = inner
        elif name == "env" and (split := _after(rest, "-S") or _after(rest, "--split-string")):
            return Program(script=split, installable=installable)
        elif name in _WITH_VALUE:
            words = _operands(name, rest)
        elif name in _RUNNERS and rest[:1] == ("run",):
            words = tuple(word for word in rest[1:] if word != "--")
        else:
            return _last(name, words, installable)
    return Program(words, installable=installable)


def _last(name: str, words: tuple[str, ...], installable: str) -> Program:
    """Return a program that is no wrapper, or the script that a shell is given."""
    rest = words[1:]
    if name in _SHELLS:
        script = _script(rest)
        if script is not None:
            return Program(rest, script=script, installable=installable)
        operands = [at for at, word in enumerate(rest) if not word.startswith(("-", "+"))]
        if not operands:
            return Program(words, installable=installable)
        script_file, *arguments = rest[operands[0] :]
        # It is a file, not a program on the PATH.
        return Program((script_file if "/" in script_file else f"./{script_file}", *arguments), installable=installable)
    if re.fullmatch(r"python[0-9.]*", name) and (module := _after(rest, "-m")).startswith("ec_release"):
        return Program(("ec-release", *rest[rest.index(module) + 1 :]), installable=installable)
    if name == "eval":
        return Program(script=" ".join(rest), installable=installable)
    if name in (".", "source") and rest:
        return Program(rest, installable=installable)
    if name == "nix-shell" and (inner := _after(rest, "--run") or _after(rest, "--command")):
        return Program(script=inner, installable=installable)
    return Program(words, installable=installable)


def _contained(rest: tuple[str, ...]) -> tuple[str, ...] | None:
    """Return the command of a container whose image holds a tool that is known here."""
    at = next((at for at, word in enumerate(rest) if _tool(word)), None)
    if at is None:
        return None
    tool = _tool(rest[at])
    return (tool, *[word for word in rest[at + 1 :] if word != tool])


def _script(rest: tuple[str, ...]) -> str | None:
    """Return the argument of `-c`, which may stand behind other letters: `-euc`."""
    for at, word in enumerate(rest):
        if re.fullmatch(r"-[A-Za-z]*c[A-Za-z]*", word) and at + 1 < len(rest):
            return rest[at + 1]
        if not word.startswith(("-", "+")):
            return None
    return None


def _after(words: tuple[str, ...], option: str) -> str:
    return words[words.index(option) + 1] if option in words[:-1] else ""


def _operands(name: str, rest: tuple[str, ...]) -> tuple[str, ...]:
    """Return the command that a wrapper runs: what comes behind its options and assignments."""
    if name == "command" and rest[:1] in (("-v",), ("-V",)):
        # It only asks where the program is.
        return ()
    at, positional = 0, _POSITIONAL.get(name, 0)
    while at < len(rest):
        word = rest[at]
        if word == "--":
            at += 1
            break
        if word.startswith("-") and len(word) > 1:
            at += 2 if word in _WITH_VALUE[name] else 1
        elif _ASSIGNMENT.fullmatch(word) and name in ("env", "sudo", "doas"):
            at += 1
        elif positional:
            positional, at = positional - 1, at + 1
        else:
            break
    return rest[at:]


def _nix(rest: tuple[str, ...]) -> tuple[tuple[str, ...] | None, str]:
    """Return the command that `nix run`, `nix shell` or `nix develop` starts, and the first installable."""
    at, verb, command = 0, "", None
    installables: list[str] = []
    while at < len(rest):
        word = rest[at]
        if word == "--" and verb == "run":
            command = rest[at + 1 :]
            break
        if word in ("-c", "--command") and verb in ("shell", "develop"):
            command = rest[at + 1 :]
            break
        if word.startswith("-"):
            at += 3 if word in _NIX_TWO else 2 if word in _NIX_VALUE else 1
            continue
        if not verb:
            verb = word
        elif verb == "run" and installables:
            # Without `--`, what follows the installable is the program's as well.
            command = rest[at:]
            break
        else:
            installables.append(word)
        at += 1
    first = installables[0] if installables else ""
    if verb == "run":
        return (program_of(first), *(command or ())), first
    if verb in ("shell", "develop") and command is not None:
        return command, first
    return None, first


def program_of(installable: str) -> str:
    """Return the name of the program that an installable runs: what is behind `#`, or the last of its address."""
    address, _, fragment = installable.partition("#")
    if fragment:
        return fragment if fragment.endswith("copyTo") else fragment.rpartition(".")[2]
    return address.partition("?")[0].rstrip("/").rpartition("/")[2] or "."


def _tool(image: str) -> str:
    """Return the tool that an image of a known name holds."""
    last = image.partition("@")[0].rpartition("/")[2].partition(":")[0]
    return last if last in _TOOLS else ""
