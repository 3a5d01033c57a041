"""The ways to attack an appliance, in the order in which they are told.

contents.py   what lies in a store path
metadata.py   modes, owners, attributes
entries.py    what is in the store at all
database.py   what the database says of them
layers.py     mounts and overlays
host.py       what lies and runs around the store
source.py     what is evaluated
surroundings.py   what surrounds an evaluation
flake.py      what a signed flake says
rebuild.py    what is rebuilt
builder.py    what a builder does while it is watched
trust.py      what the release server serves
policy.py     what may run, and what may be excused
memory.py     what the verifier remembers
stolen.py     what stolen keys of the publisher sign
server.py     how the release server serves
harmless.py   no attacks at all
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ec_verify.demo.attacks import (
    builder,
    contents,
    database,
    entries,
    flake,
    harmless,
    host,
    layers,
    memory,
    metadata,
    policy,
    rebuild,
    server,
    source,
    stolen,
    surroundings,
    trust,
)

if TYPE_CHECKING:
    from ec_verify.demo.attacks.attack import Attack

MODULES = (
    harmless,
    contents,
    metadata,
    entries,
    database,
    layers,
    host,
    source,
    surroundings,
    flake,
    rebuild,
    builder,
    trust,
    policy,
    memory,
    stolen,
    server,
)

ATTACKS: tuple[Attack, ...] = tuple(attack for module in MODULES for attack in module.ATTACKS)

BY_NAME: dict[str, Attack] = {attack.name: attack for attack in ATTACKS}
