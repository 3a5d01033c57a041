"""A machine that was installed anew: its new key takes the place of the old one."""

from __future__ import annotations

from typing import Any

import pytest

from runner_dashboard.demo.machine import Machine, Release


def identifier(dashboard: Any, name: str, state: str = "enrolled") -> str:
    """Return the identifier of the node called *name*."""
    found = dashboard.get(f"/api/v1/nodes?state={state}").json["nodes"]
    return str(next(one["id"] for one in found if one["name"] == name))


def well(dashboard: Any, machine: Machine) -> bytes:
    """Return the next report of a machine on which nothing is wrong."""
    return machine.sign(machine.passed(dashboard.clock.now))


@pytest.mark.parametrize("knocked", [False, True])
def test_the_new_key_reports_under_the_name_and_the_old_one_no_more(
    dashboard: Any, browser: Any, *, knocked: bool
) -> None:
    """Whether the new key waited for approval already or not; each page leads to the other."""
    old, new = Machine("runner-1", Release(1)), Machine("runner-1", Release(1))
    dashboard.enrol(old)
    assert dashboard.send(well(dashboard, old)).status == 201
    if knocked:
        assert dashboard.send(well(dashboard, new)).code == "node.pending"
    before = identifier(dashboard, "runner-1")
    fields = {"form_value": browser.form_value(f"/nodes/{before}"), "key": new.public_key}
    answer = browser.send(f"/nodes/{before}/rekey", fields)
    after = identifier(dashboard, "runner-1")

    assert (answer.status, answer.headers["location"]) == (303, f"/nodes/{after}")
    assert before != after
    assert dashboard.send(well(dashboard, new)).status == 201
    assert dashboard.send(well(dashboard, old)).code == "node.retired"
    assert f'/nodes/{before}"' in browser.get(f"/nodes/{after}").text
    assert f'/nodes/{after}"' in browser.get(f"/nodes/{before}").text
    assert dashboard.count("audit", "action = 'node.rekey'") == 1
    assert len(dashboard.get(f"/api/v1/nodes/{before}/reports").json["reports"]) == 1


def test_what_was_decided_stays_decided(dashboard: Any) -> None:
    """A key of another node, the same key, a retired key, no key, a node that is not enrolled: nothing changes."""
    one, two, gone = (Machine(name, Release(1)) for name in ("one", "two", "gone"))
    for machine in (one, two, gone):
        dashboard.enrol(machine)
    first, last = identifier(dashboard, "one"), identifier(dashboard, "gone")
    assert dashboard.post(f"/api/v1/nodes/{last}/retire", {}).status == 200
    audited = dashboard.count("audit", "outcome = 'done'")

    def asked(node: str, key: str) -> int:
        return int(dashboard.post(f"/api/v1/nodes/{node}/rekey", {"key": key}).status)

    assert [asked(first, machine.public_key) for machine in (one, two, gone)] == [409, 409, 409]
    assert asked(first, "no key") == 400
    assert asked(last, Machine("new", Release(1)).public_key) == 409
    assert asked("0" * 32, Machine("new", Release(1)).public_key) == 404
    assert dashboard.count("audit", "outcome = 'done'") == audited
    assert dashboard.count("successions") == 0
