# SPDX-License-Identifier: MIT
"""Numbers that the meter's sources hold as private constants, with the names of IEC 62056-5-3.

What the class files have (conformance, application contexts, mechanisms, units, ...) is read from
them: lib/cosem/classes/*.toml. host_tests/test_decoding_names_apdu.py compares both.
"""

import functools
import os
import tomllib

from tables.classes import FOLDER

DATA_ACCESS_RESULT = {
    0: "success",
    1: "hardware-fault",
    2: "temporary-failure",
    3: "read-write-denied",
    4: "object-undefined",
    9: "object-class-inconsistent",
    11: "object-unavailable",
    12: "type-unmatched",
    13: "scope-of-access-violated",
    14: "data-block-unavailable",
    15: "long-get-aborted",
    16: "no-long-get-in-progress",
    17: "long-set-aborted",
    18: "no-long-set-in-progress",
    19: "data-block-number-invalid",
    250: "other-reason",
}
ACTION_RESULT = {n: word for n, word in DATA_ACCESS_RESULT.items() if n < 15}
ACTION_RESULT.update({15: "long-action-aborted", 16: "no-long-action-in-progress",
                      250: "other-reason"})  # fmt: skip

STATE_ERROR = {1: "service-not-allowed", 2: "service-unknown"}
SERVICE_ERROR = {
    1: "operation-not-possible",
    2: "service-not-supported",
    3: "other-reason",
    4: "pdu-too-long",
    5: "deciphering-error",
    6: "invocation-counter-error",
}

# confirmedServiceError: the service, and of each class of errors its name and its errors. Services
# 2, 3, 4 and above 6 are those of IEC 61334-4-41; nobody sends them.
CONFIRMED_SERVICE = {1: "initiateError", 5: "read", 6: "write"}
SERVICE_ERRORS = {
    0: ("application-reference", {
        0: "other", 1: "time-elapsed", 2: "application-unreachable",
        3: "application-reference-invalid", 4: "application-context-unsupported",
        5: "provider-communication-error", 6: "deciphering-error",
    }),
    1: ("hardware-resource", {
        0: "other", 1: "memory-unavailable", 2: "processor-resource-unavailable",
        3: "mass-storage-unavailable", 4: "other-resource-unavailable",
    }),
    2: ("vde-state-error", {
        0: "other", 1: "no-dlms-context", 2: "loading-data-set", 3: "status-nochange",
        4: "status-inoperable",
    }),
    3: ("service", {0: "other", 1: "pdu-size", 2: "service-unsupported"}),
    4: ("definition", {
        0: "other", 1: "object-undefined", 2: "object-class-inconsistent",
        3: "object-attribute-inconsistent",
    }),
    5: ("access", {
        0: "other", 1: "scope-of-access-violated", 2: "object-access-invalid",
        3: "hardware-fault", 4: "object-unavailable",
    }),
    6: ("initiate", {
        0: "other", 1: "dlms-version-too-low", 2: "incompatible-conformance",
        3: "pdu-size-too-short", 4: "refused-by-the-VDE-handler",
    }),
    # uncertain: the errors of 7 are those of IEC 61334-4-41; nobody sends them
    7: ("load-data-set", {
        0: "other", 1: "primitive-out-of-sequence", 2: "not-loadable",
        3: "dataset-size-too-large", 4: "not-awaited-segment", 5: "interpretation-failure",
        6: "storage-failure", 7: "data-set-not-ready",
    }),
    9: ("task", {
        0: "other", 1: "no-remote-control", 2: "ti-stopped", 3: "ti-running", 4: "ti-unusable",
    }),
}  # fmt: skip

ASSOCIATION_RESULT = {0: "accepted", 1: "rejected-permanent", 2: "rejected-transient"}
USER_DIAGNOSTIC = {
    0: "null",
    1: "no-reason-given",
    2: "application-context-name-not-supported",
    3: "calling-AP-title-not-recognized",
    4: "calling-AP-invocation-identifier-not-recognized",
    5: "calling-AE-qualifier-not-recognized",
    6: "calling-AE-invocation-identifier-not-recognized",
    7: "called-AP-title-not-recognized",
    8: "called-AP-invocation-identifier-not-recognized",
    9: "called-AE-qualifier-not-recognized",
    10: "called-AE-invocation-identifier-not-recognized",
    11: "authentication-mechanism-name-not-recognised",
    12: "authentication-mechanism-name-required",
    13: "authentication-failure",
    14: "authentication-required",
}
PROVIDER_DIAGNOSTIC = {0: "null", 1: "no-reason-given", 2: "no-common-acse-version"}
RELEASE_REQUEST_REASON = {0: "normal", 1: "urgent", 30: "user-defined"}
RELEASE_RESPONSE_REASON = {0: "normal", 1: "not-finished", 30: "user-defined"}

KEY_ID = {0: "global-unicast-encryption-key", 1: "global-broadcast-encryption-key"}
KEK_ID = {0: "master-key"}
KEY_PARAMETERS = {1: "one-pass C(1e, 1s)", 2: "static unified C(0e, 2s)"}
ALGORITHMS = {0: "AES-GCM-128", 1: "AES-GCM-256", 2: "AES-WRAP-128", 3: "AES-WRAP-256"}


@functools.cache
def class_files():
    """class_id -> path of its class file."""
    return {int(f[:3]): os.path.join(FOLDER, f) for f in os.listdir(FOLDER) if f[:3].isdigit()}


@functools.cache
def _read(path):
    with open(path, "rb") as f:
        return tomllib.load(f)


def class_file(class_id):
    """The class file of a class_id as TOML has it, or None."""
    path = class_files().get(class_id)
    return None if path is None else _read(path)


@functools.cache
def words(class_id, enum):
    """number -> name of an enumeration of a class file."""
    table = class_file(class_id)["enums"][enum]
    return {int(key): word for key, word in table.items() if key.isdecimal()}


def class_name(class_id):
    """The name of an interface class, or ""."""
    c = class_file(class_id)
    return c["name"] if c else ""


@functools.lru_cache(1024)  # bounded: what is asked for comes over the line
def member(class_id, index, kind="attributes"):
    """The name of an attribute, or of one of "methods", in the newest version that has it."""
    if kind == "attributes" and index == 0:
        return "all attributes"
    c = class_file(class_id)
    for version in reversed(c["version"]) if c else ():
        for row in version.get(kind, ()):
            if row["index"] == index:
                return row["name"]
    return ""
