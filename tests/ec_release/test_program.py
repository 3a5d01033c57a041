"""Programs are started in one way: without the job's tokens, with an end, and with nothing left behind."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from ec_release import program
from ec_release.images import registry
from ec_release.images.errors import RegistryError

ENV = {"PATH": "/bin:/usr/bin"}


def test_tokens_of_the_job_are_not_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor what equals the password; a name that only resembles one is none."""
    for name in ("REGISTRY_PASSWORD", "GITHUB_TOKEN", "FORGEJO_TOKEN", "ACTIONS_ID_TOKEN_REQUEST_TOKEN", "MIRROR"):
        monkeypatch.setenv(name, "secret")
    monkeypatch.setenv("GITHUB_TOKENS_READ", "3")
    env = program.environment("secret", GIT_OPTIONAL_LOCKS="0")

    assert "secret" not in env.values()
    assert (env["GITHUB_TOKENS_READ"], env["GIT_OPTIONAL_LOCKS"], env["LC_ALL"]) == ("3", "0", "C.UTF-8")


def test_the_answer_has_both_of_what_was_said() -> None:
    """To a question on standard input; without one there is nothing to read."""
    echo = ["sh", "-c", "cat; echo said >&2"]

    assert program.ask(echo, env=ENV, stdin=b"asked") == program.Answer(b"asked", "said\n")
    assert program.ask(echo, env=ENV).output == b""


def test_what_is_watched_is_passed_on_without_the_secret(capsys: pytest.CaptureFixture[str]) -> None:
    """All of it, or without the program's own output."""
    argv = ["sh", "-c", "echo made; echo word secret >&2"]
    log = io.StringIO()
    program.watch(argv, env=ENV, hide="secret")
    program.watch(argv, env=ENV, log=log, with_output=False)

    assert capsys.readouterr().err == "made\nword ***\n"
    assert log.getvalue() == "word secret\n"


def test_what_failed_keeps_its_words() -> None:
    """Asked or watched: the error is what the program called one, and all of it is kept for whoever knows its words."""
    argv = ["sh", "-c", "echo trace >&2; echo error: no >&2; exit 1"]
    for run in (program.ask, program.watch):
        with pytest.raises(program.FailedError, match="sh: no") as caught:
            run(argv, env=ENV)
        assert caught.value.said == "trace\nerror: no\n"


def test_what_nix_and_skopeo_say_is_one_line() -> None:
    """Without colours and frames; the end, where nobody says error."""
    log = 'time="2026-11-24T16:15:17Z" level=fatal msg="pinging \\"r\\": EOF"\n'
    assert program.errors_in(log) == 'pinging "r": EOF'
    assert program.errors_in("\x1b[31;1merror:\x1b[0m no\n  at x\nerror:\n") == "no"
    assert program.errors_in("a\nb\nc\nd\n") == "b c d"
    assert program.errors_in("") == "failed and said nothing"


def test_what_a_builder_did_wrong_is_part_of_it() -> None:
    """Nix says so in a line of its own since 2.30."""
    log = "error: Cannot build '/s/a.drv'.\n       Reason: builder failed with exit code 2.\n       Output paths:\n"
    assert program.errors_in(log) == "Cannot build '/s/a.drv'.; Reason: builder failed with exit code 2."


def test_a_program_that_is_not_there_says_so() -> None:
    """Asked or watched; that is no failure of a program."""
    for run in (program.ask, program.watch):
        with pytest.raises(program.ProgramError, match="cannot be run: No such file") as caught:
            run(["ec-no-such-program"], env={"PATH": ""})
        assert not isinstance(caught.value, program.FailedError)


def is_running(pid: int) -> bool:
    """Whether a process runs; one that only waits to be buried does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def test_a_program_that_does_not_end_is_ended(tmp_path: Path) -> None:
    """After its deadline, with what it started; and that counts as a failure that may pass."""
    with pytest.raises(program.TooLateError, match="did not end within") as caught:
        program.watch(["sh", "-c", "cat /dev/zero > /dev/null"], env=ENV, deadline=0.1)
    assert isinstance(registry.failure(caught.value, "x"), RegistryError)
    started = ["sh", "-c", "cat /dev/zero > /dev/null & echo $! > started; wait"]
    with pytest.raises(program.TooLateError, match="no answer within"):
        program.ask(started, env=ENV, cwd=tmp_path, deadline=0.5)
    assert not is_running(int((tmp_path / "started").read_text()))


def test_a_program_may_tidy_up_before_it_ends(tmp_path: Path) -> None:
    """It is asked first: Nix ends its builders then, which are not of its group."""
    argv = ["sh", "-c", "trap 'echo tidy > tidied; exit' TERM; cat /dev/zero > /dev/null & wait"]
    with pytest.raises(program.TooLateError):
        program.ask(argv, env=ENV, cwd=tmp_path, deadline=0.5)

    assert (tmp_path / "tidied").read_text() == "tidy\n"
