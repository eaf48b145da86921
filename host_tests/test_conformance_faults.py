# SPDX-License-Identifier: MIT
"""The conformance run finds what is wrong with a meter: each fault of broken.py is found by its
own cases, and without a fault nothing fails, over each profile."""

import collections

import broken
import broken_links
import conforming.groups as groups
import pytest
from conforming.case import FAIL, INAPPLICABLE, PASS

FAULTS = broken_links.FAULTS
CASES = {case.id: case for _, case in groups.listed()}


def played(player, ids):
    """{id: [Result]} of cases by their ids, or how these begin."""
    wanted = [g for g, case in groups.listed() if groups.chosen(case, ids)]
    wanted += ["objects"] if any(i.startswith("COSEM_") for i in ids) else []
    found = collections.defaultdict(list)
    for r in groups.play(player, list(dict.fromkeys(wanted)), ids):
        found[r.case.id].append(r)
    return found


@pytest.mark.parametrize("fault", FAULTS, ids=repr)
def test_fault_is_found(fault, monkeypatch):
    bench = broken.Bench(fault.kind, monkeypatch.setattr, fault.meter)
    fault.put(bench)
    found = played(bench.player(), fault.cases)
    for id in fault.cases:
        verdicts = [r.verdict for r in found[id]]
        assert FAIL in verdicts, [(r.case.id, r.verdict, r.why) for r in found[id]]
    for results in found.values():
        assert all(r.why for r in results if r.verdict == FAIL)


# Of a meter that has all that the groups ask for; each is told why.
INAPPLICABLE_HERE = {
    "HDLC_ADDRESS_N6": "The meter takes addresses of one octet.",
    "APPL_OPEN_2": "The association has no user_list, or an empty one.",
    "SYMSEC_0_SecPol_1": "The policy is 6C already, and cannot be made less.",
    "SYMSEC_0_SecPol_2": "The policy is 6C already, and cannot be made less.",
    "COSEM_7_ENTRY": "No profile has between 2 and 1000 rows.",
    "COSEM_7_RANGE": "No profile has between 2 and 1000 rows.",
}


@pytest.mark.parametrize("kind", ["wrapper", "hdlc", "optical"])
def test_nothing_fails_without_a_fault(kind, monkeypatch):
    bench = broken.Bench(kind, monkeypatch.setattr)
    chosen = ["optical"] if kind == "optical" else list(groups.GROUPS)
    results = list(groups.play(bench.player(), chosen, []))
    assert [(r.case.id, r.why) for r in results if r.verdict not in (PASS, INAPPLICABLE)] == []
    why = {r.case.id: r.why for r in results if r.verdict == INAPPLICABLE}
    assert why == {k: v for k, v in INAPPLICABLE_HERE.items() if k in why}
    if kind != "optical":
        assert len(results) > 150


def test_each_case_finds_a_fault():
    assert len({f.name for f in FAULTS}) == len(FAULTS)
    found = {id for f in FAULTS for id in f.cases}
    assert sorted(set(CASES) - found) == []
