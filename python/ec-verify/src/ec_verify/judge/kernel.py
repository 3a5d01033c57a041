"""Findings about the running kernel: its command line, modules, taint and helpers."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from ec_closure.policy import matches
from ec_verify.judge.boot import plain

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ec_closure.report import Finding
    from ec_verify.judge.case import Case
    from ec_verify.observe.kernel import Kernel
    from ec_verify.observe.kernel_modules import KernelModule

# What boot loaders add by themselves
_OWN_WORDS = ("BOOT_IMAGE=*", "initrd=*", "BOOTIF=*", "bootif=*")
# What hands the machine over, or takes its protections away. See kernel-command-line(7) and systemd-debug-generator(8).
_DANGEROUS = (
    *("init=*", "rdinit=*", "*systemd.unit=*", "*systemd.debug[_-]shell*", "*systemd.run*=*", "*systemd.wants=*"),
    *("*systemd.mask=*", "*systemd.setenv=*", "*systemd.set_credential*", "*systemd.break=*", "rd.break*", "rd.shell*"),
    *("single", "s", "S", "1", "rescue", "emergency", "boot.shell_on_fail", "boot.debug1*", "boot.trace"),
    *("lockdown=*", "module.sig_enforce=*", "lsm=*", "security=*", "selinux=*", "apparmor=*", "ima_*", "audit=0"),
    *("mitigations=off", "nokaslr", "nosmep", "nosmap", "iomem=relaxed", "module_blacklist=*", "initcall_blacklist=*"),
)
# Bits of /proc/sys/kernel/tainted. See the kernel's documentation, "Tainted kernels".
_TAINTS = (
    *("a proprietary module was loaded", "a module was forced to load", "the processor is out of specification"),
    *("a module was forced to unload", "a machine check happened", "a bad page was met", "user space asked for it"),
    *("the kernel died before", "an ACPI table was overridden", "the kernel warned", "a staging driver was loaded"),
    *("a firmware bug was worked around", "a module from outside the kernel was loaded"),
    *("an unsigned module was loaded", "a soft lockup happened", "the kernel was live patched"),
    *("a distribution said so", "the layout of structures was randomised", "a test was run"),
)
_FORCED = frozenset({1, 3, 15})


def judge_kernel(case: Case) -> Iterable[Finding]:
    """Judge the running kernel against the system that was booted."""
    host = case.observation.host
    if host is None or host.kernel is None:
        return
    kernel = host.kernel
    yield from _command_line(case, kernel)
    if kernel.releases and kernel.release and kernel.release not in kernel.releases:
        message = f"the kernel is {kernel.release}; {kernel.system} has modules for {', '.join(kernel.releases)}"
        yield case.finding("EV316", message, kernel.system)
    else:
        for module in kernel.modules:
            if not matches(module.name, case.policy.allowed_modules):
                yield from _module(case, kernel, module)
    yield from _taint(case, kernel.taint)
    yield from _helpers(case, kernel)


def _command_line(case: Case, kernel: Kernel) -> Iterable[Finding]:
    if kernel.parameters is None:
        return
    wanted = plain((f"init={kernel.system}/init", *kernel.parameters))
    given = plain(kernel.words)
    added = (Counter(given) - Counter(wanted)).elements()
    strange = [word for word in added if not matches(word, (*_OWN_WORDS, *case.policy.allowed_parameters))]
    if hard := [word for word in strange if matches(word, _DANGEROUS)]:
        yield case.finding("EV310", f"the kernel was started with {_named(hard)}, which {kernel.system} does not want")
    if soft := [word for word in strange if word not in hard]:
        message = f"the kernel was started with {_named(soft)}, which {kernel.system} does not want"
        yield case.weaker("EV310", "warn", message)
    if lost := [*(Counter(wanted) - Counter(given)).elements()]:
        message = f"the kernel was started without {_named(lost)}, which {kernel.system} wants"
        yield case.weaker("EV310", "warn", message)


def _named(words: list[str]) -> str:
    more = f" and {len(words) - 5} more" if len(words) > 5 else ""  # noqa: PLR2004 - as many as a line holds
    return ", ".join(map(repr, words[:5])) + more


def _module(case: Case, kernel: Kernel, module: KernelModule) -> Iterable[Finding]:
    if module.file is None:
        yield case.finding("EV316", f"the kernel module {module.name} is none of those that {kernel.system} has")
    elif None not in (module.build_id, module.file_build_id) and module.build_id != module.file_build_id:
        message = f"the kernel module {module.name} was linked another time than {module.file} of {kernel.system}"
        yield case.finding("EV316", message)
    if "F" in module.taint:
        yield case.finding("EV316", f"the kernel module {module.name} was forced to load")


def _taint(case: Case, taint: int) -> Iterable[Finding]:
    bits = [bit for bit in range(len(_TAINTS)) if taint >> bit & 1]
    if forced := [_TAINTS[bit] for bit in bits if bit in _FORCED]:
        yield case.finding("EV316", f"the kernel is tainted: {'; '.join(forced)}")
    if others := [_TAINTS[bit] for bit in bits if bit not in _FORCED]:
        yield case.weaker("EV316", "info", f"the kernel is tainted: {'; '.join(others)}")


def _helpers(case: Case, kernel: Kernel) -> Iterable[Finding]:
    for helper in kernel.helpers:
        if not helper.exists:
            continue  # nothing is started
        if helper.store_path is None:
            message = f"the kernel starts {helper.program} ({helper.what}), which is not the store's"
            yield case.finding("EV316", message, helper.leads)
        elif case.observation.rows and helper.store_path not in case.observation.rows:
            message = f"the kernel starts {helper.program} ({helper.what}), which nobody registered"
            yield case.finding("EV316", message, helper.store_path)
