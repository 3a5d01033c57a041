"""netboot.toml: what is accepted, and what one is told about mistakes."""

from __future__ import annotations

import pytest

from ec_netboot import config
from ec_netboot.errors import ConfigError
from ec_netboot.remarks import remarks

TFTP = '[tftp]\nenabled = true\naddress = "10.20.30.2"\nefi_x86_64 = "/ipxe.efi"\n'


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("platforms = []", "platforms"),
        ('platforms = ["x86_64", "x86_64"]', "platforms"),
        ('platforms = ["riscv64"]', "platforms[0]"),
        ("keep = 1", "keep"),
        ('state_dir = "relative"', "state_dir"),
        ('runtime_dir = "/run/a b"', "runtime_dir"),
        ('runtime_dir = "/run/a,b"', "runtime_dir"),
        ('user = "a b"', "user"),
        ("unknown = 1", "netboot.toml"),
        ("[http]\nunknown = 1", "http"),
        ('[trust]\nmetadata_base = "https://x/"', "trust"),
        ('[trust]\nmetadata_base = "https://u:p@x/"\ntarget_base = "https://x/"', "trust.metadata_base"),
        ('[trust]\nmetadata_base = "ftp://x/"\ntarget_base = "https://x/"', "metadata_base"),
        ('[release]\ntarball = "/a"', "release"),
        (f'[release]\nsha256 = "{"a" * 64}"', "release"),
        (f'[release]\ntarball = "/a"\nsha256 = "{"a" * 64}"\ntag = "v1"', "release"),
        (f'platforms = ["x86_64", "aarch64"]\n[release]\ntarball = "/a"\nsha256 = "{"a" * 64}"', "release.tarball"),
        ('[release]\ntag = "a/b"', "release.tag"),
        ('[script]\nurl = "http://x/ y/"', "script.url"),
        ('[script]\nurl = "http://x"', "script.url"),
        ('[script]\nurl = "http://x/${net0/mac}/"', "script.url"),
        ('[script]\nkernel_parameters = ["two words"]', "script.kernel_parameters[0]"),
        ('[script]\nkernel_parameters = ["a", "b\\n"]', "script.kernel_parameters"),
        ('[script]\nkernel_parameters = ["a || shell"]', "script.kernel_parameters[0]"),
        ('[script]\nkernel_parameters = ["a&&b"]', "script.kernel_parameters[0]"),
        ('[http]\nallowed = ["10.0.0.1/8"]', "http.allowed[0]"),
        ('[http]\nallowed = ["::/0", "all"]', "http.allowed[1]"),
        ('[http]\naddress = "localhost"', "http.address"),
        ("[http]\nport = 65536", "http.port"),
        ("[http]\nstall = 0", "http.stall"),
        ("[tftp]\nenabled = true", "tftp"),
        ('[tftp]\nenabled = true\nbios = "/a"', "tftp.address"),
        ('[tftp]\naddress = "0.0.0.0"', "tftp.address"),
        ('[tftp]\ninterface = "eth0,eth1"', "tftp.interface"),
        ("[proxy_dhcp]\nenabled = true", "proxy_dhcp"),
        (TFTP + "[proxy_dhcp]\nenabled = true", "proxy_dhcp.subnet"),
        (TFTP + '[proxy_dhcp]\nenabled = true\nsubnet = "10.20.31.0/24"', "proxy_dhcp.subnet"),
        (TFTP + '[proxy_dhcp]\nenabled = true\nsubnet = "fd00::/64"', "proxy_dhcp.subnet"),
        (
            TFTP + f'[proxy_dhcp]\nenabled = true\nsubnet = "10.20.30.0/24"\n[script]\nurl = "http://{"x" * 110}/"',
            "script.url",
        ),
    ],
)
def test_a_mistake_is_named_with_its_key(text: str, place: str) -> None:
    """One line, and the key that it is about."""
    with pytest.raises(ConfigError) as caught:
        config.decode(text.encode())

    assert place in str(caught.value)


@pytest.mark.parametrize("data", [b"\xff", b"a = ", b"[" * 20_000, b"x = 1\n" * 200_000])
def test_what_is_no_toml(data: bytes) -> None:
    """Is refused as such, whatever it is."""
    with pytest.raises(ConfigError):
        config.decode(data)


def test_an_empty_file_is_a_configuration() -> None:
    """Every key has a default."""
    assert config.decode(b"") == config.Config()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no release server"),
        ("[http]\nallowed = []", "http.allowed is empty"),
        ('[http]\nallowed = ["0.0.0.0/0"]', "most of the world: 0.0.0.0/0"),
        ('[http]\nallowed = ["::/0"]', "most of the world: ::/0"),
        ('[script]\nurl = "https://x/"', "must have been built with HTTPS"),
        (f'[release]\ntarball = "/a"\nsha256 = "{"a" * 64}"', "nobody signed it"),
        (
            TFTP + '[proxy_dhcp]\nenabled = true\nsubnet = "10.20.30.0/24"\n[http]\ntoken_file = "/t"',
            "tells the chain token to everybody",
        ),
    ],
)
def test_what_deserves_a_second_look(text: str, said: str) -> None:
    """Valid, and perhaps not meant."""
    assert [text for text in remarks(config.decode(text.encode())) if said in text]


def test_a_usual_configuration_deserves_none() -> None:
    """A remark that is always there is read by nobody."""
    text = '[trust]\nmetadata_base = "https://x.example/a/"\ntarget_base = "https://x.example/b/"\n'

    assert remarks(config.decode(text.encode())) == []
