# SPDX-License-Identifier: MIT
"""tools/decoding/names_apdu.py and the tables of apdu.py: against the meter's own sources, and
against a list of their facts."""

import glob
import os
import re

import pytest
from decoding import apdu, names_apdu
from decoding.fields import CONFORMANCE
from tables.classes import FOLDER

LIB = os.path.join(os.path.dirname(FOLDER), "..", "..", "lib")
# The tables that a constant of the meter's sources may be in, by how those name it.
RESULTS = {name: n for n, name in names_apdu.DATA_ACCESS_RESULT.items()}
ERRORS = {name: n for n, name in names_apdu.SERVICE_ERROR.items()}
STATES = {name: n for n, name in names_apdu.STATE_ERROR.items()}
# Facts, each carried over from the public lists: number and name.
FACTS = {
    "DATA_ACCESS_RESULT": "0 success 1 hardware-fault 2 temporary-failure 3 read-write-denied 4 "
    "object-undefined 9 object-class-inconsistent 11 object-unavailable 12 type-unmatched 13 "
    "scope-of-access-violated 14 data-block-unavailable 15 long-get-aborted 16 "
    "no-long-get-in-progress 17 long-set-aborted 18 no-long-set-in-progress 19 "
    "data-block-number-invalid 250 other-reason",
    "ACTION_RESULT": "0 success 1 hardware-fault 2 temporary-failure 3 read-write-denied 4 "
    "object-undefined 9 object-class-inconsistent 11 object-unavailable 12 type-unmatched 13 "
    "scope-of-access-violated 14 data-block-unavailable 15 long-action-aborted 16 "
    "no-long-action-in-progress 250 other-reason",
    "ASSOCIATION_RESULT": "0 accepted 1 rejected-permanent 2 rejected-transient",
    "STATE_ERROR": "1 service-not-allowed 2 service-unknown",
    "SERVICE_ERROR": "1 operation-not-possible 2 service-not-supported 3 other-reason 4 "
    "pdu-too-long 5 deciphering-error 6 invocation-counter-error",
    "RELEASE_REQUEST_REASON": "0 normal 1 urgent 30 user-defined",
    "RELEASE_RESPONSE_REASON": "0 normal 1 not-finished 30 user-defined",
    "PROVIDER_DIAGNOSTIC": "0 null 1 no-reason-given 2 no-common-acse-version",
}


@pytest.mark.parametrize("table", FACTS)
def test_facts(table):
    words = FACTS[table].split()
    facts = {int(n): name for n, name in zip(words[::2], words[1::2])}
    assert getattr(names_apdu, table) == facts


def constants(*modules):
    """(name, number, module) of the private constants of modules of lib/."""
    for module in modules:
        with open(os.path.join(LIB, module)) as f:
            for name, n in re.findall(r"^_([A-Z_0-9]+) = const\((\w+)\)", f.read(), re.M):
                yield name.lower().replace("_", "-"), int(n, 0), module


def modules(pattern):
    return [os.path.relpath(path, LIB) for path in glob.glob(os.path.join(LIB, pattern))]


def test_results_are_those_of_the_meter():
    """Whatever constant has the name of a data-access-result has its number."""
    found = set()
    sources = [m for m in modules("*/*.py") if not m.endswith("exceptions.py")]
    for name, n, module in constants(*sources):
        # by this name the meter has counters of its own, and errors of exception-response
        if name in RESULTS and name not in ("success", "other-reason"):
            assert RESULTS[name] == n, (module, name)
            found.add(name)
    assert found >= {
        "read-write-denied", "object-undefined", "type-unmatched", "long-get-aborted",
        "data-block-number-invalid",
    }  # fmt: skip


def test_errors_are_those_of_the_meter():
    found = {name: n for name, n, _ in constants("dlms/exceptions.py")}
    for name, n in {**ERRORS, **STATES}.items():
        if name in found:
            assert found[name] == n
    assert set(STATES) <= set(found)
    assert len(set(ERRORS) & set(found)) == 5


# Constants of opening.py, with the table that each is of, and the Book's name of it.
OPENING = [
    ("rejected-permanent", names_apdu.ASSOCIATION_RESULT, "rejected-permanent"),
    ("rejected-transient", names_apdu.ASSOCIATION_RESULT, "rejected-transient"),
    ("no-reason-given", names_apdu.USER_DIAGNOSTIC, "no-reason-given"),
    ("application-context-not-supported", names_apdu.USER_DIAGNOSTIC,
     "application-context-name-not-supported"),
    ("calling-ap-title-not-recognised", names_apdu.USER_DIAGNOSTIC,
     "calling-AP-title-not-recognized"),
    ("calling-ae-qualifier-not-recognised", names_apdu.USER_DIAGNOSTIC,
     "calling-AE-qualifier-not-recognized"),
    ("calling-ae-invocation-id-not-recognised", names_apdu.USER_DIAGNOSTIC,
     "calling-AE-invocation-identifier-not-recognized"),
    ("called-ap-title-not-recognised", names_apdu.USER_DIAGNOSTIC,
     "called-AP-title-not-recognized"),
    ("mechanism-name-not-recognised", names_apdu.USER_DIAGNOSTIC,
     "authentication-mechanism-name-not-recognised"),
    ("mechanism-name-required", names_apdu.USER_DIAGNOSTIC,
     "authentication-mechanism-name-required"),
    ("authentication-failure", names_apdu.USER_DIAGNOSTIC, "authentication-failure"),
    ("authentication-required", names_apdu.USER_DIAGNOSTIC, "authentication-required"),
    ("no-common-acse-version", names_apdu.PROVIDER_DIAGNOSTIC, "no-common-acse-version"),
    ("dlms-version-too-low", names_apdu.SERVICE_ERRORS[6][1], "dlms-version-too-low"),
    ("incompatible-conformance", names_apdu.SERVICE_ERRORS[6][1], "incompatible-conformance"),
    ("pdu-size-too-short", names_apdu.SERVICE_ERRORS[6][1], "pdu-size-too-short"),
    ("refused-by-vde-handler", names_apdu.SERVICE_ERRORS[6][1], "refused-by-the-VDE-handler"),
]  # fmt: skip


@pytest.mark.parametrize("ours, table, theirs", OPENING, ids=[row[0] for row in OPENING])
def test_diagnostics_are_those_of_the_meter(ours, table, theirs):
    found = {name: n for name, n, _ in constants("dlms/opening.py")}
    assert table[found[ours]] == theirs


def test_tags_are_those_of_the_meter():
    """Whatever constant has the name of an APDU has its tag."""
    tags = {re.sub("([A-Z])", lambda m: "-" + m.group().lower(), name): tag
            for tag, (name, _) in apdu.TABLE.items()}  # fmt: skip
    found = set()
    for name, n, module in constants(*modules("dlms/*.py")):
        if name in tags and not module.endswith("get.py"):
            assert tags[name] == n, (module, name)
            found.add(name)
    assert found >= {"aare", "rlre", "initiate-request", "initiate-response", "get-request",
                     "confirmed-service-error", "exception-response", "general-block-transfer",
                     "general-ciphering", "general-signing", "data-notification",
                     "event-notification-request", "information-report-request",
                     "access-response"}, found  # fmt: skip


def test_requests_that_the_meter_knows_are_decoded():
    from dlms import exceptions

    assert set(exceptions._SERVICES) <= set(apdu.TABLE)


def test_what_comes_from_the_class_files():
    assert CONFORMANCE.names(0x007E1F)[:2] == [
        "priority-mgmt-supported", "attribute0-supported-with-get"]  # fmt: skip
    assert len(names_apdu.words(15, "conformance")) == 24
    assert names_apdu.words(15, "mechanism_id")[5] == "high level security, GMAC"
    assert names_apdu.class_name(7) == "Profile generic"
    assert names_apdu.class_name(60000) == ""
    assert names_apdu.member(7, 2) == "buffer"
    assert names_apdu.member(7, 0) == "all attributes"
    assert names_apdu.member(70, 1, "methods") == "remote_disconnect"
    assert names_apdu.member(60000, 2) == names_apdu.member(7, 99) == ""
