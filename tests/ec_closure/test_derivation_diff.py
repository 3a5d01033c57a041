from __future__ import annotations

from dataclasses import replace
from typing import Any

from ec_closure.derivation import Derivation, Output
from ec_closure.derivation_diff import Change, changes, compare

STORE = "/nix/store"
A, B, C, D = ("a" * 32, "b" * 32, "c" * 32, "d" * 32)


def drv(**fields: Any) -> Derivation:
    """Return a derivation."""
    plain = Derivation(
        outputs={"out": Output(f"{STORE}/{A}-tool")},
        input_drvs={},
        input_srcs=(f"{STORE}/{A}-builder.sh",),
        system="x86_64-linux",
        builder="/bin/sh",
        args=(b"-e", f"{STORE}/{A}-builder.sh".encode()),
        env={b"out": f"{STORE}/{A}-tool".encode(), b"CFLAGS": b"-O2"},
    )
    return replace(plain, **fields)


def where(left: Derivation, right: Derivation) -> list[str]:
    """Return the places that differ."""
    return [one.where for one in changes(left, right)]


def test_a_derivation_does_not_differ_from_itself() -> None:
    """Nothing to tell."""
    assert () == changes(drv(), drv())


def test_each_attribute_is_told_by_its_name() -> None:
    """Outputs, system, builder, arguments, variables, sources, inputs."""
    right = drv(
        outputs={"out": Output(f"{STORE}/{A}-tool"), "doc": Output(f"{STORE}/{A}-tool-doc")},
        system="aarch64-linux",
        builder="/bin/bash",
        args=(b"-x", f"{STORE}/{A}-builder.sh".encode(), b"more"),
        env={b"out": f"{STORE}/{A}-tool".encode(), b"NEW": b"1"},
        input_srcs=(f"{STORE}/{B}-builder.sh",),
        input_drvs={f"{STORE}/{A}-dep.drv": ("out",)},
    )

    assert [
        "output doc",
        "system",
        "builder",
        "args[0]",
        "args[2]",
        "env.CFLAGS",
        "env.NEW",
        "source builder.sh",
        "input dep.drv",
    ] == where(drv(), right)


def test_hashes_of_inputs_and_outputs_are_no_difference_of_their_own() -> None:
    """They follow from what is below."""
    left = drv(input_drvs={f"{STORE}/{A}-dep.drv": ("out",)}, env={b"dep": f"{STORE}/{A}-dep/bin".encode()})
    right = drv(
        outputs={"out": Output(f"{STORE}/{B}-tool")},
        input_drvs={f"{STORE}/{B}-dep.drv": ("out",)},
        env={b"dep": f"{STORE}/{B}-dep/bin".encode()},
    )

    assert [] == where(left, right)


def test_an_output_of_an_input_that_is_used_in_addition_is_told() -> None:
    """The same input, another output."""
    left, right = (drv(input_drvs={f"{STORE}/{A}-dep.drv": names}) for names in (("out",), ("dev", "out")))

    assert (Change("input dep.drv", b"out", b"dev,out"),) == changes(left, right)


def test_structured_attributes_are_compared_key_by_key() -> None:
    """And as text where they are none."""
    left = drv(env={b"__json": b'{"flags":["-O2"],"name":"x"}'})

    assert (Change("__json.flags", b'["-O2"]', b'["-O3"]'),) == changes(
        left, drv(env={b"__json": b'{"flags":["-O3"],"name":"x"}'})
    )
    assert ["env.__json"] == where(left, drv(env={b"__json": b"garbage"}))


def graph(**texts: str) -> dict[str, Derivation]:
    """Return two graphs: top needs middle, middle needs bottom; *texts* are the bottoms' flags."""
    found = {}
    for part, flags in texts.items():
        hash_part = {"left": A, "right": B}[part]
        found[f"{STORE}/{hash_part}-bottom.drv"] = drv(env={b"CFLAGS": flags.encode()})
        found[f"{STORE}/{hash_part}-middle.drv"] = drv(input_drvs={f"{STORE}/{hash_part}-bottom.drv": ("out",)})
        found[f"{STORE}/{hash_part}-top.drv"] = drv(input_drvs={f"{STORE}/{hash_part}-middle.drv": ("out",)})
    return found


def test_inputs_are_followed_down_to_the_root_cause() -> None:
    """Two levels of nothing but hashes are passed over."""
    known = graph(left="-O2", right="-O3")

    found = compare(f"{STORE}/{A}-top.drv", f"{STORE}/{B}-top.drv", known.get)

    (cause,) = found.causes
    assert (f"{STORE}/{A}-bottom.drv", f"{STORE}/{B}-bottom.drv") == (cause.left, cause.right)
    assert (Change("env.CFLAGS", b"-O2", b"-O3"),) == cause.changes
    assert (("top.drv", "middle.drv"), 3, (), True) == (cause.chain, found.followed, found.missing, found.complete)


def test_what_is_not_at_hand_is_named() -> None:
    """A walk that ended early must not look like an answer."""
    known = graph(left="-O2", right="-O3")
    del known[f"{STORE}/{B}-bottom.drv"]

    found = compare(f"{STORE}/{A}-top.drv", f"{STORE}/{B}-top.drv", known.get)

    assert ((), (f"{STORE}/{B}-bottom.drv",)) == (found.causes, found.missing)


def test_a_graph_that_is_thousands_deep_and_shared_is_walked_once() -> None:
    """No recursion, and every pair once."""
    known = {}
    for part in (A, B):
        for depth in range(3000):
            below = {f"{STORE}/{part}-n{depth + step}.drv": ("out",) for step in (1, 2) if depth + step < 3000}
            known[f"{STORE}/{part}-n{depth}.drv"] = drv(input_drvs=below)

    found = compare(f"{STORE}/{A}-n0.drv", f"{STORE}/{B}-n0.drv", known.get)

    assert ((), 3000, True) == (found.causes, found.followed, found.complete)


def test_the_same_derivation_is_no_pair() -> None:
    """Shared inputs cost nothing."""
    assert 0 == compare(f"{STORE}/{A}-top.drv", f"{STORE}/{A}-top.drv", graph(left="").get).followed
