"""One publisher at a time, on a server that knows no locks."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ec_release.backend.forgejo import lock
from ec_release.backend.forgejo.holder import Holder
from ec_release.errors import BackendError
from ec_release.trust.published import load

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


def held(place: Any) -> list[str]:
    """Return the names of the locks on the server."""
    (trust,) = place.forge.state.of_tag("trust")
    return [asset["name"] for asset in trust["assets"] if asset["name"].startswith("lock.")]


def test_a_second_publisher_is_told_to_wait(place: Any, make_backend: Any) -> None:
    """Who is at work, and when that ends; the first is not disturbed."""
    other = make_backend(run={"GITHUB_RUN_ID": "17", "GITHUB_JOB": "Boot_Images", "GITHUB_RUN_ATTEMPT": "2"})
    with other.locked():
        with pytest.raises(BackendError, match=r"another publisher .* run 17-boot-images, attempt 2, process \d+") as c:
            place.publish(1)
        assert "ends in" in (c.value.hint or "")
        assert len(held(place)) == 1
    assert held(place) == []
    assert place.publish(1).metadata_published


def test_two_at_the_same_moment_both_go_back(place: Any, make_backend: Any) -> None:
    """Each adds its lock before it sees the other's: neither goes on, and neither lock stays."""
    other = make_backend()
    genuine = lock.Lock._clear
    seen: list[lock.Lock] = []

    def late(self: lock.Lock) -> None:
        # The first look of each comes before either has added its own.
        seen.append(self)
        if len(seen) == 1:
            with pytest.raises(BackendError, match="another publisher"), other.locked():
                pass
            return
        if len(seen) > 2:
            genuine(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lock.Lock, "_clear", late)
        (trust,) = place.forge.state.of_tag("trust")
        foreign = f"lock.{'0' * 16}.{int(datetime.now(UTC).timestamp())}.{Holder('other', 1, '0' * 16, 1, 1)}"
        (place.forge.state.files / "x").write_bytes(b"x")
        place.forge.state.add_asset(trust, foreign, place.forge.state.files / "x", 1)
        with pytest.raises(BackendError, match="another publisher"):
            place.publish(1)
    assert held(place) == [foreign]


def test_a_lock_that_is_not_renewed_ends(place: Any, make_backend: Any) -> None:
    """By the server's time: the clocks of two machines need not agree."""
    place.forge.clock = lambda: NOW
    left = make_backend(run={"GITHUB_RUN_ID": "17"})
    with pytest.raises(BackendError, match="took over"), left.locked():  # noqa: PT012 - what happens meanwhile
        place.forge.clock = lambda: NOW + timedelta(seconds=lock.LEASE - 60)
        with pytest.raises(BackendError, match="another publisher"):
            place.publish(1)
        place.forge.clock = lambda: NOW + timedelta(seconds=lock.LEASE + 60)
        assert place.publish(1).metadata_published
        load(left, place.root)
        left.replace_timestamp(b"{}")
    assert place.reader().refresh().latest_version == 1


def test_a_publisher_at_work_renews_its_lock(place: Any, make_backend: Any) -> None:
    """While it sends and reads: a long upload keeps others away."""
    place.forge.clock = lambda: NOW
    long = make_backend()
    moments = iter(range(10, 1000, 10))

    def slowly() -> Any:
        for _ in range(12):
            moment = NOW + timedelta(minutes=next(moments))
            place.forge.clock = lambda moment=moment: moment
            long._api.commits_of("none")
            with pytest.raises(BackendError, match="another publisher"):
                place.publish(1)
            yield b"x"

    with long.locked():
        long.draft("v9")
        long.upload("v9", "a", 12, slowly)
        long.publish("v9")
    assert held(place) == []


def test_an_earlier_attempt_of_the_run_is_over(place: Any, make_backend: Any) -> None:
    """CI begins the second when the first has ended; the same attempt elsewhere may be at work still."""
    first, again, second = (
        make_backend(run={"GITHUB_RUN_ID": "17", "GITHUB_JOB": "x", "GITHUB_RUN_ATTEMPT": attempt}) for attempt in "112"
    )
    with first.locked():
        with pytest.raises(BackendError, match="another publisher"), again.locked():
            pass
        with second.locked():
            assert len(held(place)) == 1


def test_a_process_that_ended_is_over(place: Any) -> None:
    """On the same machine it is looked for, and told from a later one of the same number."""
    ours = Holder.ours({})
    done = subprocess.run(
        [sys.executable, "-c", "from ec_release.backend.forgejo.holder import Holder; print(Holder.ours({}))"],
        capture_output=True,
        text=True,
        check=True,
    )
    ended = Holder.parse(done.stdout.strip())
    assert ended is not None
    assert ended.machine == ours.machine
    assert ended.is_over(ours)
    assert not ours.is_over(ours)
    assert Holder(ours.run, 0, ours.machine, os.getpid(), ours.started + 1).is_over(ours)
    assert not Holder("none", 0, "f" * 16, 1, 1).is_over(ours)
    (trust,) = place.forge.state.of_tag("trust")
    name = f"lock.{'0' * 16}.{int(datetime.now(UTC).timestamp())}.{ended}"
    (place.forge.state.files / "x").write_bytes(b"x")
    place.forge.state.add_asset(trust, name, place.forge.state.files / "x", 1)
    assert place.publish(1).metadata_published


@pytest.mark.parametrize("text", ["", "x", "a.1.2", "run.1.0123456789abcdef.1", "run.1.0123456789abcdef.1.x", "A.1"])
def test_a_holder_that_nobody_can_read_is_somebody(text: str) -> None:
    """Its lock holds until it ends."""
    assert Holder.parse(text) is None


def test_a_lock_that_cannot_be_removed_is_warned_of(place: Any) -> None:
    """What was published is published; the lock ends by itself."""
    from tests.ec_release.forge import faults

    place.forge.plan("DELETE", "/assets/", faults.status(403), times=1000, skip=1)
    assert place.publish(1).metadata_published
    assert len(held(place)) == 1


def test_a_timestamp_that_changed_meanwhile_is_not_replaced(place: Any, make_backend: Any) -> None:
    """Should two publishers ever pass the lock: the second builds upon what the first did, or not at all."""
    place.publish(1)
    (trust,) = place.forge.state.of_tag("trust")
    backend = make_backend()
    with pytest.raises(BackendError, match="changed by another publisher"), backend.locked():  # noqa: PT012 - meanwhile
        load(backend, place.root)
        (place.forge.state.files / "x").write_bytes(b"{}")
        old = next(asset for asset in trust["assets"] if asset["name"] == "timestamp.json")
        place.forge.state.remove_asset(trust, old)
        place.forge.state.add_asset(trust, "timestamp.json", place.forge.state.files / "x", 2)
        backend.replace_timestamp(b"[]")


def test_the_timestamp_is_replaced_under_the_lock_alone(backend: Any) -> None:
    """A mistake in the program, not of its user."""
    with pytest.raises(BackendError, match="under the lock"):
        backend.replace_timestamp(b"{}")


def test_what_an_interrupted_replacement_left_is_put_right(place: Any, make_backend: Any) -> None:
    """The old is deleted and the new not renamed: what lies aside counts, and the next publisher names it."""
    place.publish(1)
    (trust,) = place.forge.state.of_tag("trust")
    stamp = next(asset for asset in trust["assets"] if asset["name"] == "timestamp.json")
    stamp["name"] = "timestamp.json.next"
    assert load(make_backend(), place.root).timestamp.signed.version == 2
    assert stamp["name"] == "timestamp.json.next"
    place.publish(1)
    assert stamp["name"] == "timestamp.json"
    assert place.reader().refresh().latest_version == 1


def test_half_a_first_timestamp_is_not_named(new_place: Any) -> None:
    """Beginning was interrupted while it was uploaded: beginning again works, with the keys that were made."""
    new_place.initialise()
    (trust,) = new_place.forge.state.of_tag("trust")
    stamp = next(asset for asset in trust["assets"] if asset["name"] == "timestamp.json")
    path = new_place.forge.state.files / stamp["uuid"]
    path.write_bytes(path.read_bytes()[:100])
    stamp |= {"name": "timestamp.json.next", "size": 100}
    new_place.initialise()
    assert new_place.reader().refresh().root_version == 1
