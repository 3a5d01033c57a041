"""The command line: what is printed, what is returned, and what is said when it does not work."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

TIME = ("--time", "2026-11-20T12:00:00Z")


def test_a_day_of_an_operator(world: Any, make_image: Any, command: Callable[..., tuple[int, str, str]]) -> None:
    """Stage, look, stage again, go back, look, clean."""
    assert command("status")[0] == 3
    world.publish(make_image(1))
    code, out, _ = command("stage", *TIME)
    assert (code, out) == (
        0,
        "x86_64: ec-runner-x86_64-netboot-boot-v1-0123abc.tar.zst (release version 1, signed): now served\n",
    )
    assert "served already" in command("stage", *TIME)[1]
    world.publish(make_image(2))
    command("stage", *TIME)
    assert command("rollback")[1] == "x86_64: ec-runner-x86_64-netboot-boot-v1-0123abc.tar.zst is served again\n"
    assert "stays, as it was chosen by hand" in command("stage", *TIME)[1]
    code, out, _ = command("status")
    assert code == 0
    for line in (
        "x86_64: serving",
        "  vouched   signed, release version 1",
        "  held      until there is a release newer than 2",
        "  before    ec-runner-x86_64-netboot-boot-v2-0123abc.tar.zst",
        "metadata: newest release 2, lowest acceptable 0, withdrawn none; verified 2026-11-20T12:00:00Z",
    ):
        assert line in out.splitlines()
    assert command("clean")[1] == "nothing to remove\n"


def test_results_as_json(world: Any, make_image: Any, command: Callable[..., tuple[int, str, str]]) -> None:
    """For scripts: one document on standard output."""
    world.publish(make_image(1))
    (staged,) = json.loads(command("stage", *TIME, "--json")[1])
    status = json.loads(command("status", "--json")[1])
    script = json.loads(command("render", "--json")[1])["script"]

    assert (staged["action"], staged["release"]["version"]) == ("staged", 1)
    assert status["schema"] == "ec-netboot.status.v1"
    assert status["platforms"][0]["release"] == staged["release"]
    assert script.startswith("#!ipxe\n")
    assert json.loads(command("clean", "--json")[1]) == []
    assert json.loads(command("check", "--json")[1]) == []


def test_the_script_for_another_server(
    world: Any, make_image: Any, command: Callable[..., tuple[int, str, str]]
) -> None:
    """Whole addresses, where they are asked for."""
    world.publish(make_image(1))
    command("stage", *TIME)
    archive = world.state.served("x86_64").archive

    assert f"kernel /releases/{archive}/kernel " in command("render")[1].replace("--name kernel ", "")
    assert f"http://other/releases/{archive}/initrd\n" in command("render", "--url", "http://other/")[1]


def test_a_damaged_release_is_told(world: Any, make_image: Any, command: Callable[..., tuple[int, str, str]]) -> None:
    """By status, which hashes it."""
    world.publish(make_image(1))
    command("stage", *TIME)
    (directory,) = world.state.releases.iterdir()
    (directory / "initrd").write_bytes(b"x")

    code, out, _ = command("status")

    assert code == 3
    assert "x86_64: not serving: " in out
    assert "is not what was staged" in out


def test_a_withdrawn_release_is_told(world: Any, make_image: Any, command: Callable[..., tuple[int, str, str]]) -> None:
    """By stage, status and render."""
    world.publish(make_image(1))
    command("stage", *TIME)
    world.withdraw(1)

    code, _, said = command("stage", *TIME)
    assert (code, "no release that may be served" in said) == (3, True)
    code, out, _ = command("status")
    assert (code, "release 1 was withdrawn" in out) == (3, True)
    code, _, said = command("render")
    assert (code, "release 1 was withdrawn" in said) == (3, True)


def test_an_unsigned_archive_is_called_so(
    world: Any, make_image: Any, command: Callable[..., tuple[int, str, str]]
) -> None:
    """Wherever it is shown."""
    file = world.path / "mine.tar.zst"
    file.write_bytes(make_image(7).archive())
    digest = hashlib.sha256(file.read_bytes()).hexdigest()

    assert "(NOT SIGNED): now served" in command("stage", "--tarball", file, "--sha256", digest)[1]
    assert "  vouched   NOT SIGNED: believed by the digest that was given" in command("status")[1].splitlines()
    assert "(NOT SIGNED)" in command("render")[1]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("nonsense",), "nonsense"),
        (("stage", "--tarball", "x"), "--tarball needs --sha256"),
        (("stage", "--tarball", "x", "--sha256", "ABC"), "--tarball needs --sha256"),
        (("stage", "--sha256", "a" * 64), "--sha256 goes with --tarball"),
        (("stage", "--tag", "v1", "--newest"), "exclude one another"),
        (("stage", "--time", "yesterday"), "yesterday"),
        (("stage", "--time", "2026-11-20T12:00:00"), "no time zone"),
        (("stage", "--platform", "aarch64"), "aarch64 is not among"),
        (("stage", "--tarball", "/nonexistent", "--sha256", "a" * 64), "/nonexistent: cannot be read"),
        (("serve", "--only", "everything"), "everything"),
    ],
)
def test_mistakes(arguments: tuple[str, ...], said: str, command: Callable[..., tuple[int, str, str]]) -> None:
    """Exit code 2, one line and what to do next."""
    code, out, err = command(*arguments)

    assert (code, out) == (2, "")
    assert said in err
    assert "hint: " in err or "cannot be read" in err


def test_several_platforms_need_a_name(world: Any, command: Callable[..., tuple[int, str, str]]) -> None:
    """Where one is meant."""
    (world.path / "netboot.toml").write_text(world.toml(platforms='["x86_64", "aarch64"]'))
    for arguments in (["render"], ["rollback"], ["stage", "--tarball", "x", "--sha256", "a" * 64]):
        code, _, said = command(*arguments)
        assert (code, "--platform" in said) == (2, True)


def test_check_says_what_deserves_a_look(world: Any, command: Callable[..., tuple[int, str, str]]) -> None:
    """And exits with 0, since it is valid; a mistake is one."""
    (world.path / "netboot.toml").write_text(world.toml("[http]\nallowed = []\n"))
    code, out, _ = command("check")
    assert (code, "note: http.allowed is empty" in out) == (0, True)
    (world.path / "netboot.toml").write_text("nonsense = 1")
    code, _, said = command("check")
    assert (code, "netboot.toml" in said) == (2, True)


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    """In a moment, and with 0."""
    from ec_netboot.main import _COMMANDS, run

    assert run(["--help"]) == 0
    text = capsys.readouterr().out
    for name in _COMMANDS:
        assert f" {name} " in text
        assert run([name, "--help"]) == 0
    assert run(["--version"]) == 0
