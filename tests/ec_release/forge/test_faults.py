"""Whatever befalls a request: the release is published whole, or not at all with a reason and what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.ec_release.forge import faults
from tests.ec_release.forge.server import TOKEN, serving

from ec_release.backend.forgejo.http import Patience
from ec_release.errors import AccessError, AssetError, BackendError, CapacityError, ConflictError
from ec_release.publishing import plan
from ec_release.publishing.publish import publish
from ec_release.trust.refresh import refresh

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.ec_release.forge.server import Exchange

UPLOAD = r"/assets\?name=disk\.img"
DOWNLOAD = r"download/v1/disk\.img"
API = "/api/v1/"


def nothing_is_half(place: Any) -> None:
    """Hold that readers see no release, and a later attempt publishes the right one."""
    assert not [name for name in place.files() if name.startswith("v1/")]
    assert place.reader("before").refresh().latest_version == 0
    place.forge.faults.clear()
    it_is_published(place)


def it_is_published(place: Any) -> None:
    """Hold that publishing gets through, once and whole; readers are spared."""
    place.publish(1)
    place.forge.faults.clear()
    reader = place.reader()
    assert reader.refresh().latest_version == 1
    files = {name: data for name, data in place.files().items() if name.startswith("v1/")}
    assert files.keys() == {"v1/SHA256SUMS", "v1/disk.img", "v1/runner.closure.json.zst"}
    assert files["v1/disk.img"] == b"image 1"
    for release in place.forge.state.releases.values():
        names = [asset["name"] for asset in release["assets"]]
        assert len(names) == len(set(names))
        assert not [name for name in names if name.startswith("lock.") or name.endswith(".next")]


EVERY: dict[str, Callable[[Exchange], None]] = {
    "408": faults.status(408),
    "425": faults.status(425),
    "429": faults.status(429, headers={"Retry-After": "1"}),
    "500": faults.status(500, "database is locked"),
    "502, a proxy's page": faults.page(502, "<html><h1>Bad Gateway</h1></html>"),
    "503": faults.early(503),
    "504": faults.page(504, ""),
    "cut before it is read": faults.cut_request(0),
    "cut while it is read": faults.cut_request(200),
    "carried out, and no answer": faults.lost,
    "carried out, and no body": faults.cut_answer(0),
    "carried out, and half a body": faults.cut_answer(20),
}


@pytest.mark.parametrize("fault", EVERY)
def test_every_request_may_fail_once(new_place: Any, fault: str) -> None:
    """From the first key on: each request that is made fails the first time, and what it did is not done twice."""
    new_place.forge.plan(".*", ".*", EVERY[fault], each_once=True)
    new_place.initialise()
    it_is_published(new_place)
    new_place.later(days=8)
    new_place.forge.plan(".*", ".*", EVERY[fault], each_once=True)
    assert refresh(new_place.backend, new_place.signing, new_place.root).signed == ("snapshot", "timestamp")
    new_place.forge.faults.clear()
    assert new_place.reader().refresh().latest_version == 1
    numbered = [name for name in new_place.files() if name.startswith("trust/")]
    assert sorted(numbered) == sorted(
        f"trust/{name}.json"
        for name in ("1.root", "1.snapshot", "2.snapshot", "3.snapshot", "1.targets", "2.targets", "timestamp")
    )


@pytest.mark.parametrize("fault", EVERY)
def test_what_never_succeeds_is_said(place: Any, fault: str) -> None:
    """An upload that fails each time ends as an error that names it and says what to do; nothing half is seen."""
    place.forge.plan("POST", UPLOAD, EVERY[fault], times=1000)
    if fault.startswith("carried out"):
        it_is_published(place)
        return
    with pytest.raises(BackendError) as caught:
        place.publish(1)
    assert caught.value.hint
    assert "disk.img" not in str(caught.value) or "/assets" in str(caught.value)
    nothing_is_half(place)


@pytest.mark.parametrize("after", [0, 1, 6])
def test_what_was_read_in_part_is_continued(place: Any, after: int) -> None:
    """From the byte where it was cut, not from the beginning."""
    place.forge.plan("GET", DOWNLOAD, faults.cut_answer(after))
    it_is_published(place)
    ranges = [headers.get("range") for _, target, headers in place.forge.seen if "download/v1/disk.img" in target]
    assert (f"bytes={after}-" if after else None) in ranges[1:2]


def test_a_server_that_sends_everything_again_is_understood(place: Any) -> None:
    """Not every server or cache knows ranges."""
    place.forge.plan("GET", DOWNLOAD, faults.cut_answer(3))
    place.forge.plan("GET", DOWNLOAD, faults.served(b"image 1"))
    it_is_published(place)


def test_another_part_than_was_asked_for_is_refused(place: Any) -> None:
    """It would be hashed as if it followed."""

    def other(exchange: Any) -> None:
        exchange.send(206, {"Content-Range": "bytes 0-3/7"}, b"imag")

    place.forge.plan("GET", DOWNLOAD, faults.cut_answer(3))
    place.forge.plan("GET", DOWNLOAD, other)
    with pytest.raises(BackendError, match="another part"):
        place.publish(1)
    nothing_is_half(place)


@pytest.mark.parametrize("action", [faults.truncated(3), faults.flipped])
def test_what_a_faulty_server_keeps_is_not_published(place: Any, action: Any) -> None:
    """Fewer bytes, or others: seen by their number, or when they are read back."""
    place.forge.plan("POST", UPLOAD, action, times=1000)
    with pytest.raises(BackendError, match=r"kept 3 bytes of 7|reads back with other bytes"):
        place.publish(1)
    nothing_is_half(place)


def test_half_an_upload_that_the_server_kept_is_replaced(place: Any) -> None:
    """A proxy that gave up, a server that took what it got."""
    place.forge.plan("POST", UPLOAD, faults.truncated(3))
    it_is_published(place)


@pytest.mark.parametrize("path", [UPLOAD, r"targets\.json", r"timestamp\.json", r"lock\."])
def test_an_upload_that_is_made_twice_stays_once(place: Any, path: str) -> None:
    """A proxy repeats a request: of two assets of one name, readers would get either."""
    place.forge.plan("POST", path, faults.twice, times=1000)
    it_is_published(place)


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_stall_ends(place: Any, make_backend: Any, method: str) -> None:
    """A server that takes a request and says nothing: the request is made again, on a new connection."""
    place.backend = make_backend(patience=Patience(attempts=3, answer=0.3, stall=0.3))
    place.forge.plan(method, ".*disk.img", faults.stall)
    it_is_published(place)


def test_a_header_that_never_ends_ends(place: Any, make_backend: Any) -> None:
    """A byte now and then trips no time-out between two bytes; the deadline of the whole does."""

    def dribble(exchange: Any) -> None:
        try:
            while not exchange.forge.over.wait(0.02):
                exchange.wfile.write(b"X")
        except OSError:
            exchange.close_connection = True

    place.backend = make_backend(patience=Patience(attempts=2, call=0.3))
    place.forge.plan("GET", "/releases", dribble, times=1000)
    with pytest.raises(BackendError, match="connection broke") as caught:
        place.publish(1)
    assert "continues" in (caught.value.hint or "")


def test_a_transfer_that_is_too_slow_ends(place: Any, make_backend: Any) -> None:
    """Measured over a window, in both directions."""
    place.backend = make_backend(patience=Patience(attempts=2, min_speed=10**15, window=0.0))
    with pytest.raises(BackendError, match="too slow"):
        place.publish(1)
    place.backend = make_backend()
    nothing_is_half(place)


def test_a_token_does_not_follow_to_another_host(place: Any, tmp_path: Path) -> None:
    """Assets may lie in an object store: it gets the request, and not the token."""
    with serving(tmp_path / "store") as store:
        place.forge.plan("GET", DOWNLOAD, faults.redirect(f"{store.url}/blob?signature=secret"), times=1000)
        store.plan("GET", "/blob", faults.served(b"image 1"), times=1000)
        it_is_published(place)
        assert store.seen
        assert not [headers for _, _, headers in store.seen if "authorization" in headers]


def test_a_signed_address_is_not_told(place: Any, tmp_path: Path) -> None:
    """Whoever reads the log of CI could use it."""
    with serving(tmp_path / "store") as store:
        place.forge.plan("GET", DOWNLOAD, faults.redirect(f"{store.url}/blob?signature=secret"), times=1000)
        store.plan("GET", "/blob", faults.status(403, "no"), times=1000)
        with pytest.raises(AccessError, match="/blob: the server answers 403") as caught:
            place.publish(1)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("target", "said"), [("file:///etc/passwd", "file://"), ("", "without an address"), ("gopher://x/", "gopher")]
)
def test_a_redirect_out_of_the_web_is_not_followed(place: Any, target: str, said: str) -> None:
    """Nor is one that leads in a circle."""
    place.forge.plan("GET", DOWNLOAD, faults.redirect(target), times=1000)
    with pytest.raises(BackendError, match=said):
        place.publish(1)
    nothing_is_half(place)


def test_a_redirect_in_a_circle_ends(place: Any) -> None:
    """After five."""
    place.forge.plan("GET", DOWNLOAD, faults.redirect("?again"), times=1000)
    with pytest.raises(BackendError, match="more than 5 redirects"):
        place.publish(1)


def test_a_repository_that_moved_is_told(place: Any) -> None:
    """Changes are not made elsewhere than where they were asked for."""
    place.forge.plan("POST", API, faults.redirect("https://elsewhere.invalid/api?token=x"), times=1000)
    with pytest.raises(BackendError, match=r"names https://elsewhere\.invalid/api$") as caught:
        place.publish(1)
    assert "--server" in (caught.value.hint or "")


def test_a_size_limit_is_named(place: Any) -> None:
    """The server answers while the file is still on its way, and reads no more: its answer is heard all the same."""
    images, closures = place.assets(1)
    images[0].write_bytes(bytes(16 << 20))
    place.forge.max_size = 1 << 20
    with pytest.raises(CapacityError, match="413") as caught:
        publish(place.backend, plan.make("v1", 1, images, closures), place.signing, place.root)
    assert "MAX_SIZE" in (caught.value.hint or "")
    assert "client_max_body_size" in (caught.value.hint or "")
    place.forge.max_size = None
    nothing_is_half(place)


@pytest.mark.parametrize("status", [500, 507])
def test_a_full_disk_is_named(place: Any, status: int) -> None:
    """As what it is, after a few more attempts."""
    if status == 500:
        place.forge.plan("POST", UPLOAD, faults.status(500, "write: no space left on device"), times=1000)
    else:
        place.forge.plan("POST", UPLOAD, faults.status(507), times=1000)
    with pytest.raises(CapacityError, match=str(status)) as caught:
        place.publish(1)
    assert "disk" in (caught.value.hint or "")
    nothing_is_half(place)


@pytest.mark.parametrize(("status", "hint"), [(401, "expired"), (403, "right to write"), (404, "--repository")])
@pytest.mark.parametrize("method", ["GET", "POST", "PATCH", "DELETE"])
def test_a_refusal_is_not_repeated(place: Any, method: str, status: int, hint: str) -> None:
    """Asking again does not help; what to do is said."""
    place.forge.plan(method, API, faults.status(status, "no"), times=1000)
    if (method, status) == ("DELETE", 404):
        pytest.skip("what is gone is deleted")
    asked = len(place.forge.requests(method, API))
    with pytest.raises(AccessError, match=f"{status} [A-Z].*: no") as caught:
        place.publish(1)
    assert hint in (caught.value.hint or "")
    if method == "DELETE":
        # The assets are out, the old timestamp is in place; the lock, which stays as well, ends by itself.
        assert place.reader().refresh().latest_version == 0
        return
    assert len(place.forge.requests(method, API)) - asked == 1
    nothing_is_half(place)


def test_a_long_wait_is_handed_on(place: Any) -> None:
    """A job of CI that sleeps for hours helps nobody."""
    place.forge.plan("POST", UPLOAD, faults.status(429, "slow down", {"Retry-After": "7200"}))
    with pytest.raises(BackendError, match="429") as caught:
        place.publish(1)
    assert "7200 seconds" in (caught.value.hint or "")
    nothing_is_half(place)


def test_a_release_that_somebody_makes_meanwhile_is_used(place: Any) -> None:
    """409: it is looked at again; a draft is continued."""
    options = {"tag_name": "v1", "name": "v1", "draft": True}
    place.forge.plan("POST", "/releases$", faults.first(lambda: place.forge.state.make_release(options)))
    it_is_published(place)


def test_a_release_that_somebody_publishes_meanwhile_is_not_touched(place: Any) -> None:
    """409, and what is there is public."""
    options = {"tag_name": "v1", "name": "v1", "draft": False}
    place.forge.plan("POST", "/releases$", faults.first(lambda: place.forge.state.make_release(options)))
    with pytest.raises(BackendError, match="somebody else"):
        place.publish(1)
    with pytest.raises(ConflictError, match="other assets"):
        place.publish(1)


def test_a_protected_tag_is_told(place: Any) -> None:
    """422, with what the server says."""
    place.forge.plan("POST", "/releases$", faults.status(422, "user not allowed to create protected tag"))
    with pytest.raises(BackendError, match=r"422 .*protected tag") as caught:
        place.publish(1)
    assert "protected" in (caught.value.hint or "")


def test_an_asset_that_somebody_adds_to_the_draft_stops_it(place: Any) -> None:
    """What is published is what was read back, and nothing else."""
    state = place.forge.state

    def add() -> None:
        (state.files / "foreign").write_bytes(b"x")
        state.add_asset(state.of_tag("v1")[0], "foreign", state.files / "foreign", 1)

    place.forge.plan("GET", "download/v1/runner", faults.first(add))
    with pytest.raises(BackendError, match="other assets than were uploaded: foreign"):
        place.publish(1)
    nothing_is_half(place)


def test_an_asset_elsewhere_is_refused(place: Any) -> None:
    """An external address in the place of a file would be whatever its server says."""

    def swap() -> None:
        for asset in [one for release in place.forge.state.of_tag("v1") for one in release["assets"]]:
            asset["type"] = "external"

    place.forge.plan("GET", "/assets$", faults.first(swap), times=1000)
    with pytest.raises(BackendError, match="lies elsewhere"):
        place.publish(1)


def test_a_server_that_does_not_publish_is_told(place: Any) -> None:
    """It says yes, and the release is still a draft."""

    def ignore(exchange: Any) -> None:
        exchange.drain()
        exchange.send_json(200, place.forge.state.release_json(place.forge.state.of_tag("v1")[0]))

    place.forge.plan("PATCH", r"/releases/\d+$", ignore)
    with pytest.raises(BackendError, match="stayed a draft"):
        place.publish(1)
    nothing_is_half(place)


def test_a_cache_that_remembers_absence_is_waited_for(place: Any) -> None:
    """Somebody asked for the address before it was public."""
    place.forge.plan("GET", DOWNLOAD + "$", faults.served(b"Not found.\n", 404))
    it_is_published(place)


def test_a_cache_that_serves_another_length_is_told(place: Any) -> None:
    """The release is out, nothing is signed for it yet; the same command continues."""
    place.forge.plan("GET", DOWNLOAD + "$", faults.served(b"stale"), times=1000)
    with pytest.raises(BackendError, match="5 bytes where there are 7") as caught:
        place.publish(1)
    assert "cache" in (caught.value.hint or "")
    assert place.reader("before").refresh().latest_version == 0
    place.forge.faults.clear()
    it_is_published(place)


def test_an_old_timestamp_in_a_cache_is_not_built_upon(place: Any) -> None:
    """The publisher asks for the very file, by its number; readers' addresses are waited for, and warned of."""
    old = place.files()["trust/timestamp.json"]
    place.forge.plan("GET", r"trust/timestamp\.json$", faults.served(old), times=1000)
    place.publish(1)
    place.publish(2)
    place.forge.faults.clear()
    assert place.reader().refresh().latest_version == 2


def test_metadata_of_another_length_than_is_listed_are_not_read(place: Any) -> None:
    """A cache that ignores what was asked for."""
    place.forge.plan("GET", r"trust/timestamp\.json\?", faults.served(b"{}"), times=1000)
    with pytest.raises(BackendError, match="2 bytes where the server lists"):
        place.publish(1)


@pytest.mark.parametrize("body", [b"<html>Welcome</html>", b"[]x", b'{"id": 1}', b"[" * 100000])
def test_a_server_that_is_no_forgejo_is_told(place: Any, body: bytes) -> None:
    """Whatever it answers with 200."""
    place.forge.plan("GET", "/releases", faults.served(body), times=1000)
    with pytest.raises(BackendError, match="Forgejo") as caught:
        place.publish(1)
    assert "--server" in (caught.value.hint or "")


def test_an_encoded_answer_is_refused(place: Any) -> None:
    """A small one may be large decoded."""

    def encoded(exchange: Any) -> None:
        exchange.send(200, {"Content-Encoding": "gzip"}, b"image 1")

    place.forge.plan("GET", DOWNLOAD, encoded)
    with pytest.raises(BackendError, match="encoded"):
        place.publish(1)


def test_a_token_that_is_sent_back_is_not_told(place: Any) -> None:
    """A server that repeats headers in its errors, with control characters for good measure."""
    place.forge.plan("POST", API, faults.status(403, f"not with {TOKEN}\x1b[2J\nhere"), times=1000)
    with pytest.raises(AccessError) as caught:
        place.publish(1)
    said = f"{caught.value} {caught.value.hint}"
    assert TOKEN not in said
    assert "not with ***" in said
    assert "\x1b" not in said
    assert "\n" not in said


def test_a_file_that_changes_meanwhile_is_not_published(place: Any) -> None:
    """It is announced with the length that was measured."""
    for changed in (b"image one", b"im"):
        images, closures = place.assets(1)
        made = plan.make("v1", 1, images, closures)
        images[0].write_bytes(changed)
        with pytest.raises(AssetError, match="changed while it was published"):
            publish(place.backend, made, place.signing, place.root)
    nothing_is_half(place)
