"""The machine around the store: one look at everything that could start or change what runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ec_verify.observe import boot, etc, kernel, preload, processes, rules, units
from ec_verify.observe.boot import Boot
from ec_verify.observe.etc import Etc
from ec_verify.observe.preload import Preloads
from ec_verify.observe.processes import Processes
from ec_verify.observe.rules import Rules
from ec_verify.observe.units import Units

if TYPE_CHECKING:
    from ec_verify.observe.kernel import Kernel
    from ec_verify.observe.places import HostPlaces
    from ec_verify.observe.running import Running


@dataclass(frozen=True)
class Host:
    """What was seen of a machine. *kernel* is None when the running one is not the examined system's.

    *unobserved* says what was not looked at and is no gap: it belongs to somebody else.
    """

    boot: Boot = field(default_factory=Boot)
    etc: Etc = field(default_factory=Etc)
    units: Units = field(default_factory=Units)
    rules: Rules = field(default_factory=Rules)
    preloads: Preloads = field(default_factory=Preloads)
    processes: Processes = field(default_factory=Processes)
    kernel: Kernel | None = None
    unobserved: tuple[str, ...] = ()

    @property
    def gaps(self) -> dict[str, tuple[str, ...]]:
        """What is there but could not be read, by area. An area without a gap was observed as a whole."""
        return {
            "boot files": self.boot.gaps,
            "/etc": self.etc.gaps,
            "units": self.units.gaps,
            "rules": self.rules.gaps,
            "preloaded libraries": self.preloads.gaps,
            "processes": self.processes.gaps,
            "kernel": self.kernel.gaps if self.kernel is not None else (),
        }


def observe(places: HostPlaces, seen: Running) -> Host:
    """Look at the machine of which *seen* says what runs. Raises nothing for what lies there."""
    known = [one for one in (seen.current, seen.booted, seen.profile, *seen.generations) if one is not None]
    running = processes.observe(places)
    unobserved = []
    if not places.own_kernel:
        unobserved.append("kernel, its modules and helpers: another root is examined")
    elif running.elsewhere:
        unobserved.append("processes with another root directory (containers): not examined")
    return Host(
        boot=boot.observe(places, known),
        etc=etc.observe(places, seen.current),
        units=units.observe(places, seen.current),
        rules=rules.observe(places, seen.current),
        preloads=preload.observe(places, seen.current),
        processes=running,
        kernel=kernel.observe(places, seen.booted or seen.current),
        unobserved=tuple(unobserved),
    )
