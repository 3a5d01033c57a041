from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ec_closure import aterm
from ec_closure.content_address import ContentAddress, store_path_of
from ec_closure.derivation import (
    Derivation,
    DerivationError,
    DerivationLimitError,
    Output,
    UnsupportedDerivationError,
)
from ec_closure.hashes import Hash
from ec_closure.nix32 import ALPHABET
from ec_closure.store_path import StorePath

if TYPE_CHECKING:
    from tests.conftest import NixStore

PATH = "/nix/store/7zppdzywqpblqpqkznafbink14zmsrr7-x"
MINIMAL = f'Derive([("out","{PATH}","","")],[],[],"x86_64-linux","/bin/sh",[],[("name","x"),("out","{PATH}")])'.encode()

Key = TypeVar("Key", str, bytes)
Value = TypeVar("Value")

# One of each kind; the file has every byte that a string can hold.
DERIVATIONS = """
  let
    make = attributes: derivation ({
      system = "x86_64-linux"; builder = "/bin/sh";
      args = [ "-c" "for o in $outputs; do echo hi > \\${!o}; done" "tab\\there" "q\\"uote\\\\" "" ];
    } // attributes);
    multiple = make { name = "multiple"; outputs = [ "out" "dev" "a" ]; };
  in [
    multiple
    (make { name = "dependent"; one = multiple; two = multiple.dev; three = builtins.toFile "source" "text"; })
    (make { name = "bytes"; value = builtins.readFile ./bytes; })
    (make { name = "structured"; __structuredAttrs = true; list = [ 1 2 { three = "\\n"; } ]; })
    (make { name = "flat"; outputHash = "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="; })
    (make {
      name = "recursive"; outputHashMode = "recursive"; outputHashAlgo = "sha1";
      outputHash = "da39a3ee5e6b4b0d3255bfef95601890afd80709";
    })
    (make { name = "floating"; __contentAddressed = true; outputHashMode = "recursive"; outputHashAlgo = "sha256"; })
    (make { name = "impure"; __impure = true; })
    (derivation { name = "fetched"; system = "builtin"; builder = "builtin:fetchurl"; url = "file:///nothing"; })
  ]
"""

names = st.text(ALPHABET + "-._?=+ABC", min_size=1, max_size=12)
paths = st.builds(
    lambda hash_part, name: StorePath(hash_part, name).within(), st.text(ALPHABET, min_size=32, max_size=32), names
)
texts = st.text("abc019-_:", max_size=8)
values = st.binary(max_size=20) | st.sampled_from([b'"', b"\\", b"\\n", b"\n\r\t", b'"),(', b"\xff\xfe", b"])"])


def ordered(items: dict[Key, Value]) -> dict[Key, Value]:
    """Return a dictionary in the order of its keys, as Nix keeps them."""
    return {key: items[key] for key in sorted(items)}


derivations = st.builds(
    Derivation,
    outputs=st.dictionaries(names, st.builds(Output, paths | st.just(""), texts, texts), max_size=3).map(ordered),
    input_drvs=st.dictionaries(paths, st.sets(names, max_size=3).map(sorted).map(tuple), max_size=3).map(ordered),
    input_srcs=st.sets(paths, max_size=3).map(sorted).map(tuple),
    system=texts | st.just("\udcff"),
    builder=st.text(max_size=10).filter(lambda text: text.isprintable()) | st.just('/bin/"\n'),
    args=st.lists(values, max_size=3).map(tuple),
    env=st.dictionaries(values, values, max_size=4).map(ordered),
    version=st.sampled_from(["", "xp-dyn-drv"]),
)


def shown_by_nix(nix_store: NixStore, path: Path, ours: Derivation) -> Derivation:
    """Return what Nix prints of the file *path*, whichever of its forms this Nix prints (P3).

    What a form leaves out is taken from *ours*: the path of a fixed output, the spelling of structured attributes.
    """
    done = nix_store.attempt("nix", "derivation", "show", path)
    # Until 2.15 the command had another name.
    shown = json.loads(done.stdout if done.returncode == 0 else nix_store.run("nix", "show-derivation", path))
    ((key, told),) = shown.get("derivations", shown).items()
    inputs = told.get("inputs") or {"drvs": told["inputDrvs"], "srcs": told["inputSrcs"]}
    env = {name.encode(): value.encode() for name, value in told["env"].items()}
    if "structuredAttrs" in told:
        assert told["structuredAttrs"] == json.loads(ours.env[b"__json"])
        env[b"__json"] = ours.env[b"__json"]

    assert str(path) == within(nix_store, key)
    assert told.get("name", ours.name) == ours.name
    return Derivation(
        outputs={name: output_of(nix_store, out, ours.outputs[name].path) for name, out in told["outputs"].items()},
        input_drvs={within(nix_store, drv): input_of(wanted) for drv, wanted in inputs["drvs"].items()},
        input_srcs=tuple(within(nix_store, source) for source in inputs["srcs"]),
        system=told["system"],
        builder=told["builder"],
        args=tuple(arg.encode() for arg in told["args"]),
        env=ordered(env),
    )


def within(nix_store: NixStore, path: str) -> str:
    """Return a full store path: since 2.32 base names are printed."""
    return path if path.startswith("/") else f"{nix_store.store_dir}/{path}"


def output_of(nix_store: NixStore, told: dict[str, str], path: str) -> Output:
    """Return an output: its method moved out of the algorithm in 2.23, and both into the hash in 2.33."""
    known = within(nix_store, told["path"]) if "path" in told else path
    if "hash" not in told:
        return Output(known)
    if "hashAlgo" in told:
        algorithm, digest = told["hashAlgo"], told["hash"]
    else:
        structured = Hash.parse(told["hash"])
        algorithm, digest = structured.algorithm, structured.base16
    return Output(known, ("r:" if told.get("method") == "nar" else "") + algorithm, digest)


def input_of(told: list[str] | dict[str, Any]) -> tuple[str, ...]:
    """Return the outputs that are used of an input derivation: since 2.18 they could have outputs in turn."""
    if isinstance(told, list):
        return tuple(told)
    assert not told["dynamicOutputs"]
    return tuple(told["outputs"])


@pytest.mark.nix
class TestAgainstNix:
    """Real derivations, from a real Nix."""

    @pytest.fixture(scope="class")
    def drvs(self, nix_store: NixStore) -> dict[str, Path]:
        """Instantiate one of each kind: name → file."""
        (nix_store.root / "bytes").write_bytes(bytes(range(1, 256)))
        found = [Path(path) for path in nix_store.instantiate(DERIVATIONS)]
        return {path.name[33:].removesuffix(".drv"): path for path in found}

    def test_real_files_round_trip(self, drvs: dict[str, Path]) -> None:
        """Byte for byte, each of them."""
        assert len(drvs) == 9
        for path in drvs.values():
            assert path.read_bytes() == Derivation.parse(path.read_bytes()).unparse()

    def test_real_files_say_what_nix_says_of_them(self, nix_store: NixStore, drvs: dict[str, Path]) -> None:
        """Field by field, as far as the JSON of a CLI can show them: it cannot hold bytes that are no text."""
        for name, path in drvs.items():
            if name in {"bytes", "floating", "impure"}:
                continue
            ours = Derivation.parse(path.read_bytes())

            assert shown_by_nix(nix_store, path, ours) == ours

    def test_real_files_are_told_apart(self, drvs: dict[str, Path]) -> None:
        """Which outputs are fixed, floating or impure decides how they are verified."""
        kinds = {}
        for name, path in drvs.items():
            drv = Derivation.parse(path.read_bytes())
            assert name == drv.name
            kinds[name] = (drv.is_fixed_output, drv.is_content_addressed, drv.is_impure)

        special = {
            "flat": (True, False, False),
            "recursive": (True, False, False),
            "floating": (False, True, False),
            "impure": (False, False, True),
        }
        assert {name: special.get(name, (False, False, False)) for name in drvs} == kinds

    def test_bytes_that_are_no_text_survive(self, drvs: dict[str, Path]) -> None:
        """An environment variable may hold any byte but NUL (P4)."""
        assert bytes(range(1, 256)) == Derivation.parse(drvs["bytes"].read_bytes()).env[b"value"]

    def test_the_path_of_a_derivation_follows_from_its_text(self, nix_store: NixStore, drvs: dict[str, Path]) -> None:
        """A tampered ``.drv`` deserves another path: that is what makes the graph trustworthy."""
        for path in drvs.values():
            data = path.read_bytes()
            ca = ContentAddress("text", Hash.of("sha256", data))
            references = Derivation.parse(data).references

            assert str(path) == store_path_of(ca, path.name[33:], references, store_dir=nix_store.store_dir)

    def test_the_path_of_a_fixed_output_follows_from_its_hash(self, nix_store: NixStore, drvs: dict[str, Path]) -> None:
        """Without building it: a derivation that claims another path lies."""
        for name in ("flat", "recursive"):
            out = Derivation.parse(drvs[name].read_bytes()).outputs["out"]
            assert out.content_address is not None

            assert out.path == store_path_of(out.content_address, name, store_dir=nix_store.store_dir)


@given(derivations)
def test_any_derivation_round_trips(drv: Derivation) -> None:
    """What was written reads as the same values, whatever bytes they hold."""
    assert drv == Derivation.parse(drv.unparse())


@given(derivations, st.data())
def test_a_mutated_derivation_is_refused_or_round_trips(drv: Derivation, data: st.DataObject) -> None:
    """Each accepted file is the one spelling of what it says."""
    raw = bytearray(drv.unparse())
    at = data.draw(st.integers(0, len(raw)))
    match data.draw(st.sampled_from(["set", "cut", "insert", "double"])):
        case "set":
            raw[at : at + 1] = data.draw(st.binary(min_size=1, max_size=1))
        case "cut":
            del raw[at : at + data.draw(st.integers(1, 30))]
        case "insert":
            raw[at:at] = data.draw(st.sampled_from([b'"', b"\\", b",", b"(", b")", b"[", b"]", b" ", b'("a","b"),']))
        case _:
            raw[at:at] = raw[at : at + data.draw(st.integers(1, 80))]
    try:
        parsed = Derivation.parse(bytes(raw))
    except DerivationError:
        return

    assert bytes(raw) == parsed.unparse()


@given(st.binary(max_size=100))
def test_any_bytes_are_a_derivation_or_a_typed_error(data: bytes) -> None:
    """Strangers' bytes never raise anything but `DerivationError`."""
    for candidate in (data, b"Derive(" + data, MINIMAL[: len(data)] + data):
        try:
            assert candidate == Derivation.parse(candidate).unparse()
        except DerivationError:
            continue


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (b"Derive", b"Drive", "expected 'Derive"),
        (b'"name","x"', b'"name","x\\q"', "string as Nix writes it"),
        (b'"name","x"', b'"name","x\n"', "string as Nix writes it"),
        (b'"name","x"', b'"name","x', "expected"),
        (b'("name","x")', b'("name","x"),("name","y")', "appears twice"),
        (b'("name","x")', b'("zzz","x")', "comes after"),
        (b'("name","x")', b'("name","x","y")', r"expected '\)'"),
        (b'("out","', b'("out","relative', "not a full store path"),
        (b'("out","/nix/store/', b'("out","/nix/store/../', "not a full store path"),
        (b"[],[],", b'[],["/gnu/store/7zppdzywqpblqpqkznafbink14zmsrr7-y"],', "not directly below /nix/store"),
        (b"[],[],", b'[("",["out"])],[],', "a store path is empty"),
        (b"[],[],", b'[("/nix/store/etc",["out"])],[],', "does not look like"),
        (b"[],[],", b'[("%b",["out","dev"])],[],' % PATH.encode(), "comes after"),
        (b"[],[],", b'[],["%b","%b"],' % (PATH.encode(), PATH.encode()), "appears twice"),
        (b"x86_64-linux", b"x86_64-linux\\", "expected"),
        (b'")])', b'")]) ', "follows"),
        (b'")])', b'")]', "ends early"),
        (b'("out"', b'("\xc3\xa9"', "ASCII"),
    ],
)
def test_what_nix_would_not_write_is_refused(old: bytes, new: bytes, said: str) -> None:
    """For its reason, with an offset."""
    assert Derivation.parse(MINIMAL).unparse() == MINIMAL
    data = MINIMAL.replace(old, new, 1)

    with pytest.raises(DerivationError, match=said) as caught:
        Derivation.parse(data)
    assert caught.value.place is not None


def test_dynamic_derivations_are_recognised_and_refused() -> None:
    """What depends on an output of an output cannot be planned from the file alone."""
    simple = b'DrvWithVersion("xp-dyn-drv",' + MINIMAL.removeprefix(b"Derive(")
    dynamic = simple.replace(b"[],[],", b'[("%b",(["out"],[("out",["x"])]))],[],' % PATH.encode(), 1)

    assert Derivation.parse(simple).version == "xp-dyn-drv"
    with pytest.raises(UnsupportedDerivationError, match="output of an output"):
        Derivation.parse(dynamic)
    with pytest.raises(UnsupportedDerivationError, match="unknown version"):
        Derivation.parse(simple.replace(b"xp-dyn-drv", b"xp-other"))


def test_paths_are_those_of_the_store_that_is_named() -> None:
    """A file of another store is not taken for one of this."""
    assert Derivation.parse(MINIMAL) == Derivation.parse(MINIMAL, "/nix/store")
    with pytest.raises(DerivationError, match="not directly below /gnu/store"):
        Derivation.parse(MINIMAL, "/gnu/store")


def test_a_file_of_absurd_size_is_refused_unread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Size and number of items have caps."""
    with pytest.raises(DerivationLimitError, match="larger"):
        Derivation.parse(b" " * (aterm.MAX_SIZE + 1))
    monkeypatch.setattr(aterm, "MAX_ITEMS", 3)
    with pytest.raises(DerivationLimitError, match="more than 3"):
        Derivation.parse(MINIMAL.replace(b'"/bin/sh",[]', b'"/bin/sh",["","","",""]'))


def test_nesting_is_no_way_to_exhaust_the_stack() -> None:
    """Neither of brackets nor in the structured attributes that a name is looked for in."""
    with pytest.raises(DerivationError):
        Derivation.parse(b"Derive(" + b"[" * 1_000_000)
    deep = Derivation({}, {}, (), "", "", (), {b"__json": b'{"x":' + b"[" * 1_000_000})
    assert not deep.name


@pytest.mark.parametrize(
    ("env", "name"),
    [
        ({}, ""),
        ({b"name": b"x"}, "x"),
        ({b"__json": b'{"name":"x"}'}, "x"),
        ({b"__json": b'{"name":1}'}, ""),
        ({b"__json": b"\xff"}, ""),
        ({b"__json": b"[]"}, ""),
        ({b"__json": b"{}"}, ""),
    ],
)
def test_the_name_is_found_where_it_is(env: dict[bytes, bytes], name: str) -> None:
    """In the variable, or in the structured attributes, or nowhere."""
    assert name == Derivation({}, {}, (), "", "", (), env).name


@pytest.mark.parametrize(
    "output",
    [
        Output("", "sha256", "impure"),
        Output("", "r:sha256", ""),
        Output(PATH),
    ],
)
def test_only_a_fixed_output_has_a_content_address(output: Output) -> None:
    """Floating and impure ones get theirs from the build."""
    assert output.content_address is None


def test_a_fixed_output_with_a_wrong_hash_is_a_typed_error() -> None:
    """The file as such is well-formed: who asks for the address learns that there is none."""
    for output in (Output(PATH, "sha256", "abc"), Output(PATH, "git:sha1", "0" * 40), Output(PATH, "md4", "0" * 32)):
        with pytest.raises(DerivationError):
            output.content_address  # noqa: B018 - a property that raises
