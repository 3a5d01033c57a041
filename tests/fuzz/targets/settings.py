"""Configuration and policy: TOML that an operator, or somebody with the operator's rights, wrote."""

from __future__ import annotations

from tests.fuzz.mutate import twist_lines
from tests.fuzz.target import Target, hold

from ec_closure import node_config, policy
from ec_closure.errors import BadInputError
from ec_closure.findings import KINDS
from ec_verify import config
from ec_verify.errors import ConfigError

_LINES = (
    b"a = 1", b"[a]", b"[[a]]", b"a.b.c = {}", b"a = [[[]]]", b"a = " + b"[" * 1500, b"x" * 300 + b" = 1", b"a = 1979-05-27", b"a = inf",
    b"a = " + b"9" * 5000, b"a = 0x" + b"f" * 5000, b"a." * 300 + b"a = 1", b'"\\u0000" = 1', b"a = '''", b'a = """', b"\xff = 1", b"[severity]",
    b'EV201 = "info"', b"[freshness]", b"max_lag = -1", b"[[unreproducible]]", b"expires = 0001-01-01", b"expires = 9999-12-31",
    b"[store]", b'root = "//"', b'dir = "/a/../b"', b"[rebuild]", b'scratch = "tmpfs:0G"', b'scratch = "tmpfs:9G"', b"[report]", b'url = "http://[::1"',
    b'url = "http://a:b@c/"', b"[nix]", b"[trust]", b'metadata_base = "http://a:99999999/"', b'target_base = "file:///a/"',
)  # fmt: skip
_WORDS = (
    b"=", b"[", b"]", b"{", b"}", b'"', b"'", b"#", b"\n", b"\r", b"\\u0000", b"\\UFFFFFFFF", b".", b",", b"-", b"_", b"0x", b"1e9999", b"\x00",
    b"\xef\xbb\xbf", b"//", b"/../", b"http://", b"file:///", b"@", b"[::1]", b":0", b"tmpfs:", b"\xd9\xa3", b"\xc2\x85",
)  # fmt: skip
_POLICIES = (
    b'schema = "ec-runner.policy.v1"\nlevel = "full"\nallowed_extra = ["*.lock"]\n[severity]\nEV501 = "fail"\n[freshness]\nmax_lag = 3\n'
    b'[[unreproducible]]\npattern = "dh*"\nowner = "release engineering"\nreason = "random"\nexpires = 2099-12-31\n',
    b'cache_keys = ["cache.test-1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="]\nallowed_unlisted = ["a", "[b"]\n',
    b"",
)
_CONFIGS = (
    b'schema = "ec-runner.verify.v1"\nnode = "n"\nstate_dir = "/var/lib/x"\npolicy = ""\n[store]\nroot = "/mnt"\ndir = "/nix/store"\n'
    b'state = "/nix/var/nix"\n[trust]\nroot = "/r.json"\nmetadata_base = "https://a.test/t/"\ntarget_base = "https://a.test/d/"\n',
    b'[nix]\nprogram = "nix"\nsandbox_paths = ["/bin/sh=/x"]\n[rebuild]\nscratch = "tmpfs:2G"\njobs = 2\n[report]\nurl = "https://b.test"\nkeep = 3\n',
    b"",
)


def _policy(data: bytes) -> None:
    found = policy.decode(data)
    for code in KINDS:
        hold(found.severity_of(code) in ("fail", "warn", "info"), "a finding without a weight")
    hold(found.level in policy.LEVELS, "no level")
    found.known_unreproducible("dhparams")
    policy.matches("a.lock", found.allowed_extra)


def _config(data: bytes) -> None:
    found = config.decode(data)
    location = found.location
    hold(location.store.is_absolute(), "a store that depends on where we stand")
    hold("\n" not in found.state_dir, "a directory of two lines")
    found.nix_settings(policy.Policy())


_NODES = (
    b'schema = "ec-runner.node.v1"\nname = "runner-7"\nssh_keys = ["restrict ssh-ed25519 '
    b'AAAAC3NzaC1lZDI1NTE5AAAAIDtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop me"]\n[dashboard]\nurl = "https://a.test"\ntoken = "t"\n'
    b'[[broadcast]]\nname = "a"\ninput = "http://a.test/"\n',
    b'schema = "ec-runner.node.v1"\n',
)


def _node(data: bytes) -> None:
    found = node_config.decode(data)
    for key in found.parsed_keys():
        hold([key.render()] == key.render().splitlines(), "a key of several lines")
        hold("command" not in key.options, "a key that runs programs")
    told = node_config.applied(found, source="file", digest="0" * 64)
    hold(
        node_config.decode_applied(node_config.encode_applied(told)) == told,
        "says something else when it is read again",
    )


POLICY = Target(
    "policy", _policy, lambda random: random.choice(_POLICIES), twist_lines(_LINES), (BadInputError,), _WORDS, suite=800
)
CONFIG = Target(
    "config", _config, lambda random: random.choice(_CONFIGS), twist_lines(_LINES), (ConfigError,), _WORDS, suite=800
)
NODE = Target(
    "node", _node, lambda random: random.choice(_NODES), twist_lines(_LINES), (BadInputError,), _WORDS, suite=800
)
