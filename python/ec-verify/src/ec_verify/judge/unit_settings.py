"""What single settings of units can do. See systemd.exec(5), systemd.service(5), systemd-system.conf(5)."""

from __future__ import annotations

import re

from ec_verify.observe import command_line

# Where a service sees other files than the machine does, or looks for programs.
_VIEW = frozenset(
    {
        *("BindPaths", "BindReadOnlyPaths", "MountImages", "ExtensionImages", "ExtensionDirectories"),
        *("RootDirectory", "RootImage", "RootMStack", "TemporaryFileSystem", "ExecSearchPath"),
    }
)
CHANGING = _VIEW | frozenset(
    {
        *("Environment", "EnvironmentFile", "PassEnvironment", "DefaultEnvironment", "ManagerEnvironment"),
        *("User", "PAMName", "OnFailure", "OnSuccess", "BusName", "Alias", "Service", "Sockets"),
        *("LoadCredential", "LoadCredentialEncrypted", "SetCredential", "SetCredentialEncrypted", "ImportCredential"),
        *("StandardInput", "StandardInputText", "StandardInputData", "OpenFile", "BPFProgram", "CrashShell"),
    }
)
"""Settings that change what runs, or what it sees."""

_RESOURCES = re.compile(
    r"(Startup|Default)?(CPU|Memory|IO|BlockIO|Tasks|Allowed)[A-Za-z0-9]*|DefaultStartupMemory[A-Za-z]*|IPAccounting"
    r"|IPAddress(Allow|Deny)|IPAccounting|Device(Policy|Allow)|ManagedOOM[A-Za-z]+|SocketBind(Allow|Deny)|Delegate[A-Za-z]*"
    r"|RestrictNetworkInterfaces|Slice|DisableControllers|Description|Documentation|CoredumpReceive|RuntimeMaxSec"
    r"|StopWhenUnneeded|CollectMode|Before|After|DefaultDependencies|KillMode|KillSignal|SendSIGHUP|TimeoutStopSec"
)
# Variables by which the dynamic linker, shells and interpreters load code.
_LOADERS = re.compile(
    r"LD_[A-Z0-9_]+|PATH|ENV|BASH_ENV|BASH_FUNC_.*|PROMPT_COMMAND|GCONV_PATH|LOCPATH|NIX_LD.*|PYTHON[A-Z]+|PERL5?[A-Z]+"
    r"|RUBY[A-Z]+|NODE_[A-Z]+|JAVA_TOOL_OPTIONS|GIO_[A-Z_]+|GTK_[A-Z_]+|QT_[A-Z_]+|OPENSSL_[A-Z]+|GIT_[A-Z_]+"
)
_WORD = re.compile(r"[\s:,]+")
_DEVIOUS = re.compile(r"\.\.|[\\%\"']")
_ESCAPED = re.compile(r"\\x([0-9a-fA-F]{2})")


def is_resource(key: str) -> bool:
    """Tell whether a setting only limits what a unit may use, describes it, or orders it."""
    return _RESOURCES.fullmatch(key) is not None


def changes_view(key: str, value: str, store_dir: str) -> bool:
    """Tell whether a setting lets a service see files from outside the store in other places."""
    return key in _VIEW and key != "TemporaryFileSystem" and not _all_in_store(value.lstrip("-+"), store_dir)


def loads_code(key: str, value: str, store_dir: str) -> bool:
    """Tell whether a setting lets programs load code from outside the store, by the variables it sets."""
    if key == "EnvironmentFile":
        return not _all_in_store(value.lstrip("-"), store_dir)
    if key not in ("Environment", "DefaultEnvironment", "ManagerEnvironment"):
        return False
    for word in command_line.words(value):
        name, _, content = word.partition("=")
        if ("%" in name or _LOADERS.fullmatch(name)) and not _all_in_store(content, store_dir):
            return True
    return False


def mount_point(unit: str) -> str | None:
    """Return where a mount unit mounts, which its name spells (`systemd-escape --path`); None for other units."""
    stem, dot, kind = unit.rpartition(".")
    if not dot or kind != "mount":
        return None
    path = _ESCAPED.sub(lambda match: chr(int(match[1], 16)), stem.replace("-", "/"))
    return "/" if stem == "-" else f"/{path}"


def _all_in_store(value: str, store_dir: str) -> bool:
    """Tell whether all words of a list are plainly paths of the store. Links that lie there are not followed."""
    words = [word for word in _WORD.split(value) if word]
    return all(word.startswith(f"{store_dir}/") and not _DEVIOUS.search(word) for word in words)
