"""Images are pushed to a real registry, through a way that can fail, and read back by skopeo."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.registry import PASSWORD, Registry, copies, copy_to, docker_archive, oci_layout

from ec_release.images.descriptor import Descriptor

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.nix
SYSTEM = "x86_64-linux"
ROOT = Path(__file__).parents[3]


class Pusher:
    """A flake with images, their descriptors, and the command that pushes them."""

    def __init__(self, flake: Any, directory: Path, registry: Registry, command: Callable[..., Any]) -> None:
        self.flake, self.directory, self.registry, self.command = flake, directory, registry, command
        self.temp = directory / "temp"
        self.descriptors = directory / "descriptors"

    @property
    def commit(self) -> str:
        """The flake's commit."""
        return str(self.flake.git("rev-parse", "HEAD"))

    def built(self, *names: str) -> Pusher:
        """Write descriptors."""
        self.descriptors.mkdir(exist_ok=True)
        for name in names:
            Descriptor(name).write(self.descriptors)
        return self

    def push(self, *more: str) -> tuple[int, dict[str, Any], str]:
        """Push, and return exit code, result and what was said."""
        usual = {"--registry": self.registry.address, "--namespace": "Owner/Repo", "--system": SYSTEM, "--wait": "0"}
        options = [f"{name}={value}" for name, value in usual.items() if name not in more]
        code, out, err = self.command(
            "push-images", self.descriptors, "--flake", self.flake.top, *options, "--json", *more
        )
        assert PASSWORD not in out + err
        assert list(self.temp.iterdir()) == []
        return code, json.loads(out) if out else {}, err


@pytest.fixture
def pusher(
    tmp_path: Path, new_flake: Any, in_store: Any, registry: Registry, command: Callable[..., Any]
) -> Callable[..., Pusher]:
    """Give a function that makes a flake of images: by name the Nix text of its `copyTo`, and what goes with it."""
    assert in_store

    def make(**images: str) -> Pusher:
        texts = [
            f'"{name.replace("_", "-")}" = d "{name}" {{ }} // {{ passthru.copyTo = {text}; }};'
            for name, text in images.items()
        ]
        made = Pusher(new_flake(f"packages.{SYSTEM} = {{ {' '.join(texts)} }};"), tmp_path, registry, command)
        return made.built(*(name.replace("_", "-") for name in images))

    return make


@pytest.fixture
def web(tmp_path: Path, pusher: Callable[..., Pusher]) -> Pusher:
    """Give a flake with one image of four layers."""
    return pusher(web_image=copies(oci_layout(tmp_path / "web", "web")))


def event(monkeypatch: pytest.MonkeyPatch, file: Path, name: str, ref: str, sha: str, **payload: Any) -> None:
    """Be a runner that tells of an event."""
    file.write_text(json.dumps({"repository": {"full_name": "Owner/Repo", "default_branch": "main"}, **payload}))
    for key, value in {"EVENT_NAME": name, "EVENT_PATH": str(file), "REF": ref, "SHA": sha}.items():
        monkeypatch.setenv(f"GITHUB_{key}", value)
    monkeypatch.setenv("GITHUB_REPOSITORY", "Owner/Repo")


def test_an_image_is_pushed_and_can_be_read(web: Pusher, registry: Registry, tmp_path: Path) -> None:
    """By its digest, all layers included; twice, and nothing has changed."""
    code, result, err = web.push()
    assert code == 0, err
    digest = registry.digest(f"owner/repo/web:git-{web.commit}")
    assert result["digests"] == {"web": f"{registry.address}/owner/repo/web@{digest}"}
    assert registry.tags("owner/repo/web") == [f"git-{web.commit}"]
    read = registry.skopeo("copy", f"docker://{result['digests']['web']}", f"oci:{tmp_path}/read:x")
    assert read.returncode == 0, read.stderr
    assert len(list((tmp_path / "read/blobs/sha256").iterdir())) == 6
    before = len(registry.way.requests)
    again = web.push()
    assert again[:2] == (code, result)
    assert not [one for one in registry.way.requests[before:] if one.startswith(("PATCH", "PUT")) and "/blobs/" in one]


def test_an_archive_of_docker_is_pushed(tmp_path: Path, pusher: Callable[..., Pusher], registry: Registry) -> None:
    """What nixpkgs' dockerTools make: layers are compressed on the way, to the same bytes each time."""
    made = pusher(web_image=copies(docker_archive(tmp_path / "web.tar", "web")))
    code, result, err = made.push()
    assert code == 0, err
    assert result == made.push()[1]
    assert result["digests"]["web"].endswith(registry.digest(f"owner/repo/web:git-{made.commit}"))


@pytest.mark.parametrize(
    ("name", "ref", "payload", "tag"),
    [
        ("push", "refs/heads/main", {}, "latest"),
        ("workflow_dispatch", "refs/heads/main", {}, "latest"),
        ("push", "refs/heads/topic", {}, None),
        ("push", "refs/tags/main", {}, None),
        ("merge_group", "refs/heads/gh-readonly-queue/main/pr-1", {}, None),
        ("pull_request", "refs/pull/7/merge", {"pull_request": {"number": 7}}, "pr-7"),
    ],
)
def test_tags_follow_the_event(
    web: Pusher, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, ref: str, payload: Any, tag: str | None
) -> None:
    """All of them name one digest; and the summary says it."""
    if "pull_request" in payload:
        payload["pull_request"]["head"] = {"sha": "0" * 40, "repo": {"full_name": "owner/repo"}}
    event(monkeypatch, tmp_path / "event", name, ref, web.commit, **payload)
    monkeypatch.setenv("GITHUB_OUTPUT", str(tmp_path / "output"))
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary"))
    code, result, _ = web.push()
    assert code == 0
    assert web.registry.tags("owner/repo/web") == sorted(filter(None, [f"git-{web.commit}", tag]))
    assert {web.registry.digest(f"owner/repo/web:{one}") for one in web.registry.tags("owner/repo/web")} == {
        result["digests"]["web"].partition("@")[2]
    }
    assert json.loads((tmp_path / "output").read_text().splitlines()[1]) == result["digests"]
    assert result["digests"]["web"].partition("sha256:")[2] in (tmp_path / "summary").read_text()


def test_a_commit_that_the_event_is_not_about_moves_no_tag(
    web: Pusher, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A run on main that was told to build something else."""
    event(monkeypatch, tmp_path / "event", "workflow_dispatch", "refs/heads/main", "0" * 40)
    assert web.push()[0] == 0
    assert web.registry.tags("owner/repo/web") == [f"git-{web.commit}"]


@pytest.mark.parametrize("suffix", ["", "-aarch64-linux"])
def test_an_old_run_that_is_run_again_moves_latest_back_nowhere(
    web: Pusher, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, suffix: str
) -> None:
    """Latest stays where a later commit of the branch has an image of this kind, and is told to have stayed."""
    old = web.commit
    web.flake.git("commit", "--quiet", "--allow-empty", "--message", "later")
    new = web.commit
    web.flake.git("update-ref", "refs/remotes/origin/main", new)
    tags = []
    for commit in (old, new, old):
        web.flake.git("checkout", "--quiet", commit)
        event(monkeypatch, tmp_path / "event", "push", "refs/heads/main", commit)
        code, result, err = web.push(f"--tag-suffix={suffix}")
        assert (code, "could go back" in err) == (0, False), err
        tags.append((result["images"][0]["tags"], result["images"][0].get("stayed")))

    assert tags == [
        (f"git-{old}{suffix} latest{suffix}", None),
        (f"git-{new}{suffix} latest{suffix}", None),
        (f"git-{old}{suffix}", f"latest{suffix}"),
    ]


def test_a_checkout_without_history_is_warned_of(web: Pusher, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Whoever calls the action with a checkout of their own learns that latest could go back."""
    event(monkeypatch, tmp_path / "event", "push", "refs/heads/main", web.commit)
    code, _, err = web.push()

    assert code == 0
    assert "could go back" in err


@pytest.mark.parametrize("repo", [{"full_name": "stranger/repo"}, None, {}])
@pytest.mark.parametrize("name", ["pull_request", "pull_request_target", "workflow_run"])
def test_what_a_fork_proposes_is_not_pushed(
    web: Pusher, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, repo: Any
) -> None:
    """Whatever rights the run has. That is no failure, and the registry hears nothing."""
    payload: dict[str, Any] = {"pull_request": {"number": 7, "head": {"sha": web.commit, "repo": repo}}}
    if name == "workflow_run":
        payload = {"workflow_run": {"head_repository": repo}}
    event(monkeypatch, tmp_path / "event", name, "refs/heads/main", web.commit, **payload)
    code, result, _ = web.push()

    assert (code, result["digests"]) == (0, {})
    assert "fork" in result["pushed_nothing_because"]
    assert web.registry.way.requests == []


def test_what_is_withheld_is_not_pushed(tmp_path: Path, pusher: Callable[..., Pusher]) -> None:
    """By the flake, whatever a descriptor says, or by the caller, by either name."""
    text = copies(oci_layout(tmp_path / "web", "web"))
    made = pusher(
        web_image=f"{text}; meta.ci.publish = false",
        skip_image=f"{text}; meta.ci.skip = true",
        a_image=text,
        b_image=text,
    )
    code, result, _ = made.push("--withhold", "a", "--withhold", "b-image")

    assert (code, result["digests"]) == (0, {})
    assert result["not_to_be_pushed"] == {
        "web": "the flake says so: meta.ci",
        "skip": "the flake says so: meta.ci",
        "a": "the caller says so: --withhold",
        "b": "the caller says so: --withhold",
    }
    assert made.registry.way.requests == []


def test_what_is_not_authoritative_is_not_pushed(tmp_path: Path, pusher: Callable[..., Pusher]) -> None:
    """The file that says who publishes what holds even where an output forgot to say so; a broken one stops all."""
    text = copies(oci_layout(tmp_path / "web", "web"))
    made = pusher(runner_dashboard_image=text, web_image=text)
    (made.flake.top / "docs").mkdir()
    file = made.flake.top / "docs/release-authority.toml"
    file.write_bytes((ROOT / "docs/release-authority.toml").read_bytes())
    made.flake.git("add", "--all")
    made.flake.git("commit", "--quiet", "--message", "authority")
    code, result, err = made.push()

    assert code == 0, err
    assert list(result["digests"]) == ["web"]
    assert result["not_to_be_pushed"] == {"runner-dashboard": "non-authoritative in docs/release-authority.toml"}
    file.write_text("surface = 5\n")
    made.flake.git("commit", "--quiet", "--all", "--message", "broken")
    before = len(made.registry.way.requests)
    assert made.push()[0] == 2
    assert len(made.registry.way.requests) == before


def test_one_that_fails_keeps_no_other_back(tmp_path: Path, pusher: Callable[..., Pusher]) -> None:
    """Each is tried, each failure told; those that went well are in the outputs; the command fails."""
    good = copies(oci_layout(tmp_path / "web", "web"))
    made = pusher(
        a_image='throw "not today"',
        b_image=copy_to("echo error: no such image >&2; exit 1"),
        c_image=copy_to("exit 0"),
        d_image='derivation { name = "copy-to"; system = "x86_64-linux"; builder = "/bin/false"; }',
        web_image=good,
    )
    made.built("gone-image")
    (made.descriptors / "image-web.env.bak").write_text("RUN_ATTR=#web-image.passthru.copyTo\n")
    code, result, err = made.push("--attempts", "2")

    assert code == 3
    assert list(result["digests"]) == ["web"]
    assert len(result["failures"]) == 6
    assert "6 of 7 images were not pushed" in err
    assert {one["code"] for one in result["failures"]} == {
        "images.descriptor",
        "images.copy-to",
        "images.registry",
    }


@pytest.mark.parametrize("fault", ["drop", "cut", "500", "502", "503", "429"])
def test_a_way_that_fails_is_tried_again(web: Pusher, fault: str) -> None:
    """Connections that are dropped or cut, a registry that is overloaded: the image arrives whole."""
    web.registry.way.faults = [fault] * 3
    code, result, err = web.push()

    assert code == 0, err
    assert web.registry.way.faults == []
    assert result["digests"]["web"].endswith(web.registry.digest(f"owner/repo/web:git-{web.commit}"))


@pytest.mark.parametrize("fault", ["drop", "503"])
def test_patience_ends(web: Pusher, fault: str) -> None:
    """The failure is the registry's, and says so."""
    web.registry.way.faults = [fault] * 1000
    code, result, err = web.push("--attempts", "2")

    assert (code, result["digests"]) == (3, {})
    assert [one["code"] for one in result["failures"]] == ["images.registry"]
    assert "try again later" in err


def test_who_has_no_right_is_told_at_once(web: Pusher, monkeypatch: pytest.MonkeyPatch) -> None:
    """One try: more of them would lock an account."""
    monkeypatch.setenv("REGISTRY_PASSWORD", "wrong")
    code, result, err = web.push("--attempts", "50")
    assert code == 3
    assert [one["code"] for one in result["failures"]] == ["images.denied"]
    assert "packages: write" in err
    assert len(web.registry.way.requests) < 20


def test_what_the_registry_holds_is_compared(web: Pusher, tmp_path: Path) -> None:
    """A manifest that was altered there, or by another who pushes by the name at the same time."""
    assert web.push()[0] == 0
    digest = web.registry.digest(f"owner/repo/web:git-{web.commit}")
    reference = f"docker://{web.registry.address}/owner/repo/web@{digest}"
    file = web.registry.blob(digest)
    file.write_bytes(file.read_bytes().replace(b'"schemaVersion": 2', b'"schemaVersion":2'))
    assert web.registry.skopeo("copy", reference, f"oci:{tmp_path}/read:x").returncode != 0
    code, result, err = web.push("--attempts", "1")
    assert code == 3, err
    assert (result["digests"], result["failures"][0]["code"]) == ({}, "images.digest")


def test_a_layer_that_was_altered_is_refused_by_its_digest(web: Pusher, tmp_path: Path) -> None:
    """Whoever pulls by digest notices what the registry, or who owns its disk, did."""
    _, result, _ = web.push()
    reference = f"docker://{result['digests']['web']}"
    manifest = json.loads(web.registry.skopeo("inspect", "--raw", reference).stdout)
    layer = web.registry.blob(manifest["layers"][2]["digest"])
    data = bytearray(layer.read_bytes())
    data[len(data) // 2] ^= 1
    layer.write_bytes(data)
    read = web.registry.skopeo("copy", reference, f"oci:{tmp_path}/read:x")
    assert read.returncode != 0
    assert b"digest" in read.stderr.lower()


def test_other_bytes_of_one_commit_are_told(tmp_path: Path, pusher: Callable[..., Pusher]) -> None:
    """An image that is built differently each time; it is pushed, and people know."""
    made = pusher(web_image=copies(f"oci:{tmp_path}/current"))
    oci_layout(tmp_path / "one", "one")
    oci_layout(tmp_path / "two", "two")
    (tmp_path / "current").symlink_to("one")
    first = made.push()[1]
    (tmp_path / "current").unlink()
    (tmp_path / "current").symlink_to("two")
    code, second, err = made.push()
    assert code == 0
    assert second["images"][0]["replaced"] == first["images"][0]["digest"]
    assert "not reproducible" in err


def test_the_password_is_in_no_command_line_and_no_environment(
    tmp_path: Path, pusher: Callable[..., Pusher], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of any process, by whatever name, while the image is copied; the file that has it is ours alone."""
    monkeypatch.setenv("SOME_TOKEN", PASSWORD)
    seen = tmp_path / "seen"
    source = oci_layout(tmp_path / "web", "web")
    made = pusher(
        web_image=copy_to(
            f"cat /proc/[0-9]*/cmdline > {seen} 2>/dev/null; cat /proc/self/environ >> {seen}; "
            f'stat -c "%a %U" "$REGISTRY_AUTH_FILE" "${{REGISTRY_AUTH_FILE%/*}}" > {seen}.modes; '
            f'exec skopeo copy --insecure-policy --quiet {source} "$@"'
        )
    )
    assert made.push()[0] == 0
    text = seen.read_bytes()
    assert b"--dest-authfile" in text
    assert b"GITHUB_ACTOR" in text
    assert PASSWORD.encode() not in text
    assert b"REGISTRY_PASSWORD" not in text
    (first, second) = (tmp_path / "seen.modes").read_text().splitlines()
    assert (first.split()[0], second.split()[0]) == ("600", "700")


def test_a_password_that_a_program_says_is_not_passed_on(tmp_path: Path, pusher: Callable[..., Pusher]) -> None:
    """What is copied with may be anybody's script, which can read the file."""
    del tmp_path
    made = pusher(web_image=copy_to(f"cat <<'END'\nerror: {PASSWORD}\nEND\nexit 1"))
    code, _, err = made.push("--attempts", "1")
    assert code == 3
    assert "error: ***" in err, err


def test_a_password_from_a_file(web: Pusher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the line end that editors leave."""
    monkeypatch.delenv("REGISTRY_PASSWORD")
    (tmp_path / "password").write_text(f"{PASSWORD}\n")
    assert web.push("--password-file", str(tmp_path / "password"))[0] == 0


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (["--username", "a:b"], "user name"),
        (["--password-file", "/nonexistent"], "cannot be read"),
        (["--namespace", "a b"], "is no namespace"),
        (["--registry", "https://x"], "is no registry"),
        (["--tag-suffix", "/x"], "is no tag"),
        (["--attempts", "0"], "at least one attempt"),
        (["--system", "x"], "is no system"),
    ],
)
def test_mistakes_are_told_before_anything_is_sent(web: Pusher, more: list[str], told: str) -> None:
    """Exit 2, and the registry hears nothing."""
    code, _, err = web.push(*more)
    assert code == 2
    assert told in err
    assert web.registry.way.requests == []


def test_no_password_is_a_mistake(web: Pusher, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not an attempt to push as nobody."""
    monkeypatch.delenv("REGISTRY_PASSWORD")
    code, _, err = web.push()
    assert code == 2
    assert "there is no password" in err


def test_a_tree_that_differs_from_its_commit_is_not_pushed(web: Pusher) -> None:
    """The tag would say what is not so."""
    (web.flake.top / "more").write_text("x")
    code, _, err = web.push()
    assert code == 2
    assert "differ from the commit" in err


def test_nothing_to_push_is_no_failure(web: Pusher) -> None:
    """No image was built; credentials are not asked for."""
    for file in web.descriptors.iterdir():
        file.unlink()
    code, result, _ = web.push("--password-file", os.devnull)
    assert (code, result["digests"], result["failures"]) == (0, {}, [])


def test_no_directory_is_a_mistake_unless_it_is_not(web: Pusher) -> None:
    """Where no job wrote a descriptor, a runner makes no directory; elsewhere the name is misspelt."""
    web.descriptors = web.descriptors.with_name("none")
    assert web.push()[0] == 2
    code, result, _ = web.push("--may-be-missing")
    assert (code, result["digests"]) == (0, {})


def test_systems_have_tags_of_their_own(web: Pusher) -> None:
    """Where two of them would push one image by one name."""
    assert web.push("--tag-suffix=-aarch64-linux")[0] == 0
    assert web.registry.tags("owner/repo/web") == [f"git-{web.commit}-aarch64-linux"]
