# SPDX-License-Identifier: MIT
"""Gurux reads a meter that has every version of every interface class (every_class.py): its list
of objects, and each attribute of those whose class Gurux has. What comes is what the definition
says; what Gurux's own class makes of it (`understood`) fails only where DIFFERENT says why.
"""

import pytest

pytest_plugins = ["peer_sessions"]

from every_class import CLASSES, VERSIONS, name_of, path
from peer_sessions import RUNTIMES, Expected, Peer, RunningMeter, plain

CLIENT, OBJECT_UNDEFINED = (16, 1), 4

# Interface classes that gurux-dlms for Python does not have: their objects are in its list only.
UNKNOWN = {
    30, 46, 50, 51, 52, 53, 55, 56, 57, 58, 59, 61, 62, 63, 67, 68, 73, 76, 77, 95, 96, 97, 98,
    101, 102, 103, 104, 105, 126, 127, 128, 129, 130, 131, 132, 133, 140, 141, 142, 143,
}  # fmt: skip

# (class_id, version, attributes) that Gurux's class does not take, and why.
DIFFERENT = (
    (12, 3, (5,), "loses count in a user_list that is empty"),
    (12, 4, (5,), "loses count in a user_list that is empty"),
    (24, 0, (2, 3, 5), "has the attributes of version 1 in every version"),
    (28, 2, (7,), "has no list_of_allowed_callers"),
    (65, 1, (5, 6, 7, 8), "has the attributes of version 0 in every version"),
    (151, 0, (2,), "has the attributes of version 1 in every version"),
)
NOT_UNDERSTOOD = {(c, name_of(c, v), k) for c, v, attributes, _ in DIFFERENT for k in attributes}
# Computed from an association, and these are objects of none.
_ASSOCIATIONS = (12, 15)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_every_class_that_gurux_has(runtime, peers, request):
    if runtime == "micropython":
        request.getfixturevalue("micropython")
    definition = str(path(values=True))
    expected = Expected(definition)
    # All modules at once: no meter of one purpose has them.
    meter = RunningMeter(runtime, "--definition", definition, "--heap", "1m")
    gurux = Peer(peers, "gurux_client.py", meter, "wrapper", CLIENT, "")
    gurux.ask("open")
    listed = gurux.ask("objects")["objects"]
    assert {(c, v) for c, v in VERSIONS} <= {(o["class_id"], o["version"]) for o in listed}
    assert {o["class_id"] for o in listed if not o["known"]} == UNKNOWN
    known = {(o["class_id"], o["obis"]) for o in listed if o["known"]}
    # A buffer last: Gurux wants to know the capture_objects first.
    names = [name for name in expected.readable(CLIENT) if name[:2] in known]
    names.sort(key=lambda name: (name[0] == 7 and name[2] == 2, name))
    commands = [{"class_id": c, "obis": o, "attribute": k} for c, o, k in names]
    answers = gurux.ask("get_all", attributes=commands)["answers"]
    failed = set()
    for name, answer in zip(names, answers):
        if "error" in answer:
            assert name[0] in _ASSOCIATIONS and answer["error"]["code"] == OBJECT_UNDEFINED, name
            continue
        constant = expected.constant(CLIENT, *name)
        if constant is not None:
            assert answer["raw"] == constant, name
            assert answer["value"] == plain(constant), name
        if not answer.get("understood", True):
            failed.add(name)
    assert failed == NOT_UNDERSTOOD
    assert {c for c, _, _ in names} | UNKNOWN == set(CLASSES)
    gurux.end()
    assert (meter.stop(), meter.said) == (0, "")
