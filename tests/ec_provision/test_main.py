"""The command line: exit codes, what goes where, and what people are told."""

from __future__ import annotations

import hashlib
import json
import os
import re
import socket
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ec_closure import node_config
from ec_provision import main

if TYPE_CHECKING:
    from collections.abc import Callable

SCRIPT = Path(sys.executable).with_name("ec-provision")
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop"
FINGERPRINT = "SHA256:tAXFyTXI8xtDaujAEcwJslAYc9/6FKcUkd2Lw0xDhPo"
TOKEN = "s3cr3t-Z9"  # noqa: S105 - a token to look for
NODE = f"""schema = "ec-runner.node.v1"
name = "runner-7"
ssh_keys = ["{KEY} operator"]
[dashboard]
url = "https://dashboard.example.org"
token = "{TOKEN}"
[[broadcast]]
name = "channel-4"
input = "hdhomerun://10A1B2C3/4.1"
"""


@pytest.fixture
def command(machine: Any, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Give a function that runs a command on the machine, and returns its exit code and what it said."""

    def run(*arguments: str, here: bool = True) -> tuple[int, str, str]:
        code = machine.run(*arguments) if here else main.run(arguments)
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


class TestApply:
    """What runs at boot."""

    def test_data_are_applied_and_said(self, machine: Any, command: Any) -> None:
        """One line on standard output, nothing on standard error; a second run says that nothing changed."""
        machine.put("partition", NODE)
        said = (
            "node.toml from the partition EC-NODE: name runner-7, 1 SSH key, dashboard https://dashboard.example.org, "
            "1 broadcast\n"
        )

        assert (0, f"applied: {said}", "") == command("apply")
        assert (0, f"unchanged: {said}", "") == command("apply")

    def test_no_data_are_no_failure(self, command: Any) -> None:
        """A node may run with defaults."""
        assert (0, "applied: no node.toml anywhere; this node runs with defaults\n", "") == command("apply")

    def test_json_is_node_json(self, machine: Any, command: Any) -> None:
        """For programs."""
        machine.put("file", NODE)
        code, out, err = command("apply", "--json")

        assert (0, (machine.state / "node.json").read_text(), "") == (code, out, err)
        assert "runner-7" == node_config.decode_applied(out.encode()).name

    def test_the_host_name_of_this_machine_stays(self, machine: Any, command: Any) -> None:
        """A directory is not this machine."""
        before = socket.gethostname()
        machine.put("file", NODE)
        command("apply")

        assert before == socket.gethostname()

    def test_bad_data_are_one_clear_line(self, machine: Any, command: Any) -> None:
        """With place, line, key and a hint; exit code 2, and what was applied before stays."""
        file = machine.put("file", NODE)
        command("apply")
        before = machine.tree()
        machine.put("file", NODE.replace("runner-7", "Runner 7"))
        code, out, err = command("apply")

        assert (2, "", before) == (code, out, machine.tree())
        assert err.splitlines() == [
            f"ec-provision: {file}: line 2: name: is not written as this key must be",
            "  hint: a name has up to 63 small letters, digits and dashes, no dash at either end: runner-7",
        ]

    def test_an_address_is_fetched_before_what_lies_here(self, machine: Any, command: Any, server: Any) -> None:
        """And the file that was passed over is named."""
        machine.put("command line", f"quiet ec.node={server.say(NODE.encode())}\n")
        machine.put("file", NODE.replace("runner-7", "runner-8"))
        code, out, err = command("apply")

        assert (0, True) == (code, "from the address of ec.node: name runner-7" in out)
        assert ["file"] == json.loads((machine.state / "node.json").read_text())["ignored"]
        assert "several places have a node.toml; the first counts" in err

    def test_an_address_that_does_not_answer_is_no_bad_data(self, machine: Any, command: Any, server: Any) -> None:
        """Exit code 3, nothing changed, and the file that lies here is not taken instead."""
        machine.put("command line", f"ec.node={server.url('/none?q')}")
        machine.put("file", NODE)
        code, out, err = command("apply")

        assert (3, "", {}) == (code, out, machine.tree())
        assert f"ec-provision: {server.url('/none')}: answered 404" in err

    def test_a_command_line_that_says_nothing_usable_is_bad_data(self, machine: Any, command: Any) -> None:
        """It is the operator's."""
        machine.put("command line", "ec.node=http://boot.example.org/node.toml")
        code, _, err = command("apply")

        assert (2, True) == (code, "ec.node is http:// without ec.node.sha256" in err)

    @pytest.mark.parametrize("arguments", [("--deadline", "0"), ("--deadline", "-1"), ("--deadline", "nan"), ("--x",)])
    def test_usage_errors_exit_with_2(self, command: Any, arguments: tuple[str, ...]) -> None:
        """Before anything is looked at."""
        code, out, err = command("apply", *arguments)

        assert (2, "", True) == (code, out, err.startswith("ec-provision: "))

    def test_a_group_that_is_missing_is_said(self, machine: Any, command: Any) -> None:
        """Before anything is written."""
        code, _, err = command("apply", "--group", "no-such-group")

        assert (3, {}) == (code, machine.tree())
        assert "there is no group 'no-such-group'" in err

    @pytest.mark.root
    def test_a_group_is_given_what_is_for_it(self, machine: Any, command: Any) -> None:
        """By its name."""
        machine.put("file", NODE)
        assert 0 == command("apply", "--group", "daemon")[0]

        assert "daemon" == (machine.state / "broadcasts/channel-4.toml").group()

    @pytest.mark.parametrize(
        "text",
        [NODE, NODE.replace("[[broadcast]]", "broken"), NODE.replace(f'"{TOKEN}"', TOKEN), NODE + f'token = "{TOKEN}"'],
    )
    def test_no_word_tells_the_token(self, machine: Any, command: Any, text: str) -> None:
        """Whatever goes wrong: the journal is for more people than the token."""
        machine.put("file", text, 0o644)
        for arguments in (("apply",), ("apply", "--json"), ("show",), ("show", "--json")):
            _, out, err = command(*arguments)
            assert TOKEN not in out + err


class TestCheck:
    """What operators run before they copy a file."""

    def test_a_good_file_is_described(self, command: Any, tmp_path: Path) -> None:
        """Who may log in, and the digest that reports will hold."""
        file = tmp_path / "node.toml"
        file.write_text(NODE)
        code, out, err = command("check", str(file), here=False)

        assert (0, "") == (code, err)
        assert out.splitlines() == [
            f"{file} is valid: name runner-7, 1 SSH key, dashboard https://dashboard.example.org, 1 broadcast",
            f"  may log in: {FINGERPRINT} operator",
            f"  sha256: {hashlib.sha256(NODE.encode()).hexdigest()}",
        ]

    def test_a_file_without_keys_says_so(self, command: Any, tmp_path: Path) -> None:
        """It is valid, and perhaps not what was meant."""
        (tmp_path / "node.toml").write_text('schema = "ec-runner.node.v1"\n')
        code, out, _ = command("check", str(tmp_path / "node.toml"), here=False)

        assert (0, True) == (code, "nobody may log in by this file" in out)

    @pytest.mark.parametrize(
        ("old", "new", "said"),
        [
            ("name = ", "nam = ", "line 2: nam: Object contains unknown field `nam`"),
            ("ssh-ed25519", 'command=\\"x\\" ssh-ed25519', "line 3: ssh_keys[0]: begins with 'command="),
            ("https://", "http://", "line 5: dashboard.url: would send the token in the clear"),
            ("[[broadcast]]", "[[broadcast", "line 7, column "),
        ],
    )
    def test_a_mistake_is_named(self, command: Any, tmp_path: Path, old: str, new: str, said: str) -> None:
        """Line, key and hint."""
        (tmp_path / "node.toml").write_text(NODE.replace(old, new))
        code, out, err = command("check", str(tmp_path / "node.toml"), here=False)

        assert (2, "") == (code, out)
        assert f"node.toml: {said}" in err
        assert "  hint: " in err

    def test_what_cannot_be_read_is_said(self, command: Any, tmp_path: Path) -> None:
        """A missing file, a directory, a circle of links."""
        (tmp_path / "circle").symlink_to("circle")
        for path in (tmp_path / "none", tmp_path, tmp_path / "circle"):
            code, _, err = command("check", str(path), here=False)
            assert (2, True) == (code, f"{path}: cannot be read: " in err)


class TestShow:
    """What was applied."""

    def test_it_tells_what_and_from_where(self, machine: Any, command: Any) -> None:
        """As lines, and as node.json."""
        machine.put("credential", NODE)
        machine.put("file", NODE)
        command("apply")
        code, out, err = command("show")

        assert (0, "") == (code, err)
        assert out.splitlines() == [
            "node.toml from the systemd credential: name runner-7, 1 SSH key, dashboard https://dashboard.example.org, "
            "1 broadcast",
            f"  may log in: {FINGERPRINT}",
            "  broadcast: channel-4",
            "  another node.toml was passed over: file",
            f"  sha256: {hashlib.sha256(NODE.encode()).hexdigest()}",
        ]
        assert (0, (machine.state / "node.json").read_text(), "") == command("show", "--json")

    def test_nothing_applied_is_said(self, command: Any) -> None:
        """With what to look at."""
        code, out, err = command("show")

        assert (3, "", True) == (code, out, "nothing was applied on this boot" in err)

    def test_damage_is_said(self, machine: Any, command: Any) -> None:
        """Rather than half of it shown."""
        command("apply")
        (machine.state / "node.json").write_text("{")
        code, out, _ = command("show")

        assert (2, "") == (code, out)


class TestProgram:
    """The program as such."""

    def test_the_template_is_valid(self, command: Any, tmp_path: Path) -> None:
        """As it is, and with its examples uncommented once keys stand in them."""
        code, out, err = command("template", here=False)
        found = node_config.decode(out.encode())
        assert (0, "", "runner-7", ()) == (code, err, found.name, found.ssh_keys)

        whole = re.sub(r"^( *)#(?=\S)", r"\1", out, flags=re.MULTILINE)
        whole = (
            whole.replace("ssh-ed25519 AAAA…", KEY, 1).replace("ssh-ed25519 AAAA…", f"{KEY[:-1]}q").replace("…", TOKEN)
        )
        (tmp_path / "node.toml").write_text(whole)
        found = node_config.decode(whole.encode())
        assert (2, TOKEN, 1) == (
            len(found.ssh_keys),
            found.dashboard and found.dashboard.token,
            len(found.broadcast),
        )

    @pytest.mark.parametrize("arguments", [[], *([name] for name in main._COMMANDS)])
    def test_each_command_explains_itself(self, arguments: list[str], command: Any) -> None:
        """Usage on standard output, and success."""
        code, out, _ = command(*arguments, "--help", here=False)

        assert (0, True) == (code, f"Usage: ec-provision {' '.join(arguments)}".rstrip() in out)

    @pytest.mark.parametrize("arguments", [[], ["nonsense"], ["check"], ["show", "x"]])
    def test_what_makes_no_sense_is_a_usage_error(self, arguments: list[str], command: Any) -> None:
        """With where to ask."""
        code, out, err = command(*arguments, here=False)

        assert (2, "") == (code, out)
        assert "hint: see `ec-provision --help`" in err

    def test_the_installed_script_runs(self) -> None:
        """And tells its version."""
        ran = subprocess.run([SCRIPT, "--version"], capture_output=True, text=True, check=False)

        assert (0, f"{version('ec-provision')}\n", "") == (ran.returncode, ran.stdout, ran.stderr)

    def test_help_is_quick(self) -> None:
        """Neither the network nor formats are loaded to print help."""
        asked = "import sys; from ec_provision.main import run; run(['--help']); print(*sys.modules, file=sys.stderr)"
        ran = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)

        assert {"httpx2", "msgspec", "stamina"}.isdisjoint(ran.stderr.split())

    def test_an_interruption_says_what_it_leaves(self, command: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        """Control-C while an address does not answer."""

        def interrupt(*_: Any) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr("ec_provision.sources.find", interrupt)

        assert (130, "", "ec-provision: interrupted; nothing was changed\n") == command("apply")

    def test_an_error_of_the_system_is_one_line(self, command: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        """With the file it is about."""

        def vanish(*_: Any) -> None:
            raise FileNotFoundError(2, "vanished while it was read", "/x")

        monkeypatch.setattr("ec_provision.sources.find", vanish)

        assert (3, "", "ec-provision: /x: vanished while it was read\n") == command("apply")

    def test_a_reader_who_leaves_is_no_traceback(self) -> None:
        """`ec-provision template | head -0`."""
        read, write = os.pipe()
        os.close(read)
        done = subprocess.run([SCRIPT, "template"], stdout=write, stderr=subprocess.PIPE, check=False)
        os.close(write)

        assert (3, b"") == (done.returncode, done.stderr)
