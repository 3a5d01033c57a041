"""A publisher that ends before any of its requests: readers see the old state or the new one; the next completes it.

What is left on the server is what a killed process leaves; the next publisher is a later attempt of the same run.
"""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any

from ec_closure.errors import UsageError
from ec_fetch.errors import FetchError
from ec_release.trust.ceremony import apply, propose, read_pending
from ec_release.trust.refresh import refresh

if TYPE_CHECKING:
    from collections.abc import Callable


class KilledError(BaseException):
    """No clean-up of the publisher's sees this coming."""


class Mortal:
    """Publishers of one run of CI, each a later attempt; one dies before its request number *step*."""

    def __init__(self, place: Any, make_backend: Callable[..., Any]) -> None:
        self.place = place
        self._make = make_backend
        self._attempt = 0

    def dies(self, work: Callable[[], object], step: int) -> bool:
        """Do *work*; return whether it died."""
        self._attempt += 1
        backend = self._make(run={"GITHUB_RUN_ID": "1", "GITHUB_JOB": "x", "GITHUB_RUN_ATTEMPT": str(self._attempt)})
        http = backend._api.http
        genuine, left = http._open, step

        def open_(*arguments: Any, **options: Any) -> Any:
            nonlocal left
            left -= 1
            if left < 0:
                raise KilledError
            return genuine(*arguments, **options)

        http._open = open_
        self.place.backend = backend
        try:
            work()
        except KilledError:
            return True
        return False

    def until_it_gets_through(
        self, work: Callable[[int], object], check: Callable[[int], None], stride: int = 1
    ) -> int:
        """Kill *work* before each request, or each of *stride*, in turn, and *check*; return how many there were."""
        for number in count(1):
            step = (number - 1) * stride
            died = self.dies(lambda number=number: work(number), step)  # type: ignore[misc]
            check(number)
            self.dies(lambda number=number: work(number), 10**6)  # type: ignore[misc]
            check(number)
            if not died:
                return step
        raise AssertionError


def readable(place: Any) -> Any:
    """Return what a reader sees, None in the one moment in which there is no timestamp."""
    if "trust/timestamp.json" not in place.files():
        return None
    try:
        return place.reader().refresh()
    except FetchError as error:
        raise AssertionError(error) from error


def test_publishing(place: Any, make_backend: Any) -> None:
    """Each release is published before the next is begun; a reader never sees half of one."""

    def check(number: int) -> None:
        seen = readable(place)
        assert seen is None or seen.latest_version in (number - 1, number)
        files = place.files()
        for sums in [name for name in files if name.endswith("/SHA256SUMS")]:
            names = {line.split("  ")[1] for line in files[sums].decode().splitlines()} | {"SHA256SUMS"}
            tag = sums.partition("/")[0]
            assert {name for name in files if name.startswith(f"{tag}/")} == {f"{tag}/{name}" for name in names}

    mortal = Mortal(place, make_backend)
    steps = mortal.until_it_gets_through(place.publish, check, stride=4)
    assert steps > 60
    seen = readable(place)
    assert seen.latest_version == steps // 4 + 1
    names = [asset["name"] for asset in place.forge.state.of_tag("trust")[0]["assets"]]
    assert not [name for name in names if name.startswith("lock.") or name.endswith(".next")]


def test_initialising(new_place: Any, make_backend: Any) -> None:
    """Finished by starting again with the keys that were made."""

    def begin(_: int) -> None:
        try:
            new_place.initialise(keys=2, threshold=2)
        except UsageError:
            # The timestamp lay whole beside its place: the repository is begun, as the next publisher finds.
            assert readable(new_place).root_version == 1

    mortal = Mortal(new_place, make_backend)
    step = 0
    while mortal.dies(lambda: begin(0), step):
        step += 1
    assert step > 3
    assert readable(new_place).root_version == 1


def test_refreshing(place: Any, make_backend: Any) -> None:
    """A node is never shown half a refresh."""
    place.publish(1)

    def work(_: int) -> None:
        refresh(place.backend, place.signing, place.root, force=True)

    def check(_: int) -> None:
        seen = readable(place)
        assert seen is None or seen.latest_version == 1

    assert Mortal(place, make_backend).until_it_gets_through(work, check) > 15


def test_a_new_root(place: Any, make_backend: Any) -> None:
    """Applying a proposal again continues it."""
    place.publish(1)
    mortal = Mortal(place, make_backend)
    pending = place.path / "pending.json"
    propose(place.backend, place.signing, place.root, pending, lambda _: None)
    proposal = read_pending(pending)
    step = 0
    while mortal.dies(lambda: apply(place.backend, place.signing, place.root, proposal), step):
        seen = readable(place)
        assert seen is None or seen.root_version in (1, 2)
        step += 1
    assert step > 10
    assert readable(place).root_version == 2
