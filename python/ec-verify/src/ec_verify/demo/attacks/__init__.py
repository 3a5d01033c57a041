"""The ways to attack an appliance, in the order in which they are told.

contents.py   what lies in a store path
metadata.py   modes, owners, attributes
entries.py    what is in the store at all
source.py     what is evaluated
rebuild.py    what is rebuilt
trust.py      what the release server serves
harmless.py   no attacks at all
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ec_verify.demo.attacks import contents, entries, harmless, metadata, rebuild, source, trust

if TYPE_CHECKING:
    from ec_verify.demo.attacks.attack import Attack

ATTACKS: tuple[Attack, ...] = (
    *harmless.ATTACKS,
    *contents.ATTACKS,
    *metadata.ATTACKS,
    *entries.ATTACKS,
    *source.ATTACKS,
    *rebuild.ATTACKS,
    *trust.ATTACKS,
)

BY_NAME: dict[str, Attack] = {attack.name: attack for attack in ATTACKS}
