"""Signing anew what expires, withdrawing releases, and raising the minimum."""

from __future__ import annotations

from typing import Any

import pytest

from ec_closure.errors import UsageError
from ec_release.trust.change import change_targets
from ec_release.trust.refresh import refresh
from ec_release.trust.roles import Periods
from ec_release.trust.standing import raise_minimum, withdraw


def refreshed(place: Any, **options: Any) -> tuple[str, ...]:
    """Refresh and return which roles were signed."""
    return refresh(place.backend, place.signing, place.root, **options).signed


@pytest.mark.parametrize(
    ("days", "signed"),
    [
        (0, ()),
        (3, ()),
        (4, ("timestamp",)),
        (8, ("snapshot", "timestamp")),
        (46, ("targets", "snapshot", "timestamp")),
    ],
)
def test_what_is_past_half_of_its_validity_is_signed_anew(place: Any, days: int, signed: tuple[str, ...]) -> None:
    """And whatever refers to it; the rest stays."""
    place.publish(1)
    place.later(days=days)
    assert refreshed(place) == signed
    assert place.reader().refresh().expired == ()
    before = place.files()
    assert refreshed(place) == ()
    assert place.files() == before


def test_a_forced_refresh_signs_the_timestamp(place: Any) -> None:
    """For a timer that wants to show that it is alive."""
    assert refreshed(place, force=True) == ("timestamp",)


def test_after_everything_expired_a_refresh_still_works(place: Any) -> None:
    """A pipeline that slept for half a year is woken by the same command."""
    place.publish(1)
    place.later(days=200)
    assert refreshed(place) == ("targets", "snapshot", "timestamp")
    assert place.reader().refresh().latest_version == 1


def test_the_root_is_reported_long_before_it_expires(place: Any) -> None:
    """People must meet to renew it, so they hear of it in time."""
    assert not refresh(place.backend, place.signing, place.root).root_due
    place.later(days=190)
    assert refresh(place.backend, place.signing, place.root).root_due


def test_a_refresh_keeps_what_is_said_about_releases(place: Any) -> None:
    """Signing anew forgets neither targets nor withdrawals."""
    place.publish(1)
    place.publish(2)
    change_targets(place.backend, place.signing, place.root, lambda targets: withdraw(targets, {1}))
    place.later(days=60)
    refreshed(place)
    reader = place.reader()
    assert reader.refresh().withdrawn == (1,)
    assert len(reader.closures()) == 2


def test_withdrawing_reaches_readers_and_deletes_nothing(place: Any) -> None:
    """A withdrawn release stays downloadable: evidence is not deleted."""
    for version in (1, 2, 3):
        place.publish(version)
    before = set(place.files())
    changed = change_targets(place.backend, place.signing, place.root, lambda targets: withdraw(targets, {2, 1}))
    assert (changed.changed, changed.standing.withdrawn) == (True, (1, 2))
    again = change_targets(place.backend, place.signing, place.root, lambda targets: withdraw(targets, {1}))
    assert not again.changed
    assert before <= set(place.files())
    assert place.reader().refresh().withdrawn == (1, 2)


def test_a_later_release_keeps_the_withdrawals(place: Any) -> None:
    """Publishing carries on what was said before."""
    place.publish(1)
    change_targets(place.backend, place.signing, place.root, lambda targets: withdraw(targets, {1}))
    place.publish(2)
    change_targets(place.backend, place.signing, place.root, lambda targets: raise_minimum(targets, 2))
    place.publish(3)
    state = place.reader().refresh()
    assert (state.latest_version, state.min_version, state.withdrawn) == (3, 2, (1,))


def test_what_was_never_published_is_not_withdrawn(place: Any) -> None:
    """A typing error is told, not signed."""
    place.publish(1)
    with pytest.raises(UsageError, match="version 7"):
        change_targets(place.backend, place.signing, place.root, lambda targets: withdraw(targets, {1, 7}))


def test_the_minimum_only_grows_and_stays_reachable(place: Any) -> None:
    """Nodes that upgraded do not go back, and no minimum fails the whole fleet."""
    place.publish(1)
    place.publish(2)
    change_targets(place.backend, place.signing, place.root, lambda targets: raise_minimum(targets, 2))
    with pytest.raises(UsageError, match="only grows"):
        change_targets(place.backend, place.signing, place.root, lambda targets: raise_minimum(targets, 1))
    with pytest.raises(UsageError, match="every node would fail"):
        change_targets(place.backend, place.signing, place.root, lambda targets: raise_minimum(targets, 3))
    same = change_targets(place.backend, place.signing, place.root, lambda targets: raise_minimum(targets, 2))
    assert not same.changed


def test_expiry_is_in_whole_seconds(place: Any) -> None:
    """The format has no fractions, and neither have we."""
    time = place.time.replace(microsecond=999_999)
    assert Periods().expiry("timestamp", time).microsecond == 0
