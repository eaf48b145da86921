# SPDX-License-Identifier: MIT
"""cosem/visible_objects.py: add_object and remove_object of Association LN, in each version, by a
client that is answered APDU by APDU; and what another client of the meter hears of it."""

import functools
import random
import subprocess
import types
from pathlib import Path

import fakes
import pytest
import small
import tables
from cosem.model import Model
from dlms.server import Server
from fakes import array, boolean, enum, i8, octets, struct_, u8, u16
from tables import definition, show, source

ROOT = Path(__file__).parent.parent
PLAYER = ROOT / "host_tests/device/converse.py"

DENIED, UNDEFINED, INCONSISTENT, TYPE_UNMATCHED, OTHER_REASON = 3, 4, 9, 12, 250
ADD, REMOVE = 3, 4
MALFORMED = "exception-response"
MANAGER, READER, FIXED = 1, 2, 3
REGISTER = 3, 0, "1.0.1.8.0.255"
PROFILE = 7, 1, "1.0.99.1.0.255"
DATA = 1, 0, "0.0.96.1.0.255"
NAME = 1, 0, "0.0.42.0.0.255"

TEXT = """
name = "test"
limits = {associations = 3, work_len = 400, max_send_pdu = 300, max_receive_pdu = 300}
[[device]]
name = "meter"
sap = 1
[access]
all = {manager = "r w x", reader = "r:1-11"}
unseen = {manager = "r w x"}
[[objects]]
device = "meter"
access = "all"
list = [
    {class = 15, version = VERSION, obis = "0.0.40.0.1.255", access = "unseen", capacity = {object_list = ROOM}},
    {class = 15, version = VERSION, obis = "0.0.40.0.2.255", capacity = {object_list = ROOM}},
    {class = 15, version = VERSION, obis = "0.0.40.0.3.255"},
    {class = 15, version = VERSION, obis = "0.0.40.0.0.255"},
    {class = 8, obis = "0.0.1.0.0.255", access = "unseen"},
    {class = 1, obis = "0.0.42.0.0.255", data_type = "octet-string", value = "TST0000000000001"},
    {class = 1, obis = "0.0.96.1.0.255", data_type = "unsigned", value = 7},
    {class = 3, obis = "1.0.1.8.0.255", access = "unseen", data_type = "double-long-unsigned", value = 99},
    {class = 7, obis = "1.0.99.1.0.255", access = "unseen", profile_entries = 2, capture_objects = ["3/1.0.1.8.0.255/2"]},
]
"""  # noqa: E501
ASSOCIATION = """
[[association]]
device = "meter"
client_sap = %d
object = "0.0.40.0.%d.255"
mechanism = 0
role = "%s"
conformance = ["get", "set", "action", "selective-access", "block-transfer-with-get-or-read"]
"""


def compiled(version, room):
    text = TEXT.replace("VERSION", str(version)).replace("ROOM", str(room))
    for sap, role in ((MANAGER, "manager"), (READER, "reader"), (FIXED, "reader")):
        text += ASSOCIATION % (sap, sap, role)
    document = source.Document(text, "test.toml")
    return tables.compile(definition.load_definition(document))


@functools.lru_cache(maxsize=None)
def packed(version=3, room=3):
    made = compiled(version, room)
    return {k.upper(): v for k, v in vars(made).items() if not k.startswith("_")}


class Meter:
    """With capacity for `room` objects in the associations of clients 1 and 2, none in 3's."""

    def __init__(self, version=3, room=3, image=None):
        self.version, self.room = version, room
        self.model = Model(types.SimpleNamespace(**packed(version, room)))
        self.model.storage = fakes.Storage()
        if image is not None:
            self.model.image[:] = image
        self.model.start()
        self.server = Server(self.model)
        self.clients = {}
        for sap in (MANAGER, READER, FIXED):
            self.clients[sap] = small.Talk(self, self.server.channel(), sap, 1)
            assert self.clients[sap].open(None).startswith("61")

    def off_and_on(self):
        return Meter(self.version, self.room, bytes(self.model.image))

    def ask(self, client, head, what, index, data=b""):
        about = "%04X" % what[0] + fakes.obis(what[2]).hex() + "%02X" % index
        return bytes.fromhex(self.clients[client].say(head + about + (data or b"\0").hex()))

    def get(self, client, what, attribute=2, selection=b""):
        answer = self.ask(
            client, "C001C1", what, attribute, b"\1" + selection if selection else b""
        )
        return [answer[4]] if answer[3] else fakes.value(answer[4:])

    def set(self, client, what, attribute, data):
        return self.ask(client, "C101C1", what, attribute, b"\0" + data)[3]

    def act(self, client, what, method, data=b"\x0f\x00"):
        answer = self.ask(client, "C301C1", what, method, b"\1" + data)
        return MALFORMED if answer[0] == 0xD8 else answer[3]

    def change(self, method, what, rights=None, of=READER, by=MANAGER):
        """add_object or remove_object of the association object of a client."""
        element = struct_(
            u16(what[0]), u8(what[1]), octets(fakes.obis(what[2])), rights or access_rights()
        )
        return self.act(by, (15, self.version, "0.0.40.0.%d.255" % of), method, element)

    def objects(self, client=READER):
        """{(class_id, version, logical_name): access_rights} of the client's object_list."""
        out = bytearray(3000)
        row = self.model.find(0, b"\0\x0f" + fakes.obis("0.0.40.0.%d.255" % client), 0)
        end = self.model.read(row, 2, out, 0, len(out))
        names = {}
        for class_id, version, name, *rights in fakes.value(out[:end]):
            names[class_id, version, ".".join(str(x) for x in name)] = rights and rights[0]
        return names


def access_rights(attributes=(), methods=(), method=enum):
    """attributes: (id, mode) or (id, mode, selectors); methods: (id, mode)."""
    return struct_(
        array(
            *[
                struct_(i8(k), enum(mode), array(*map(i8, *more)) if more else b"\0")
                for k, mode, *more in attributes
            ]
        ),
        array(*[struct_(i8(k), method(mode)) for k, mode in methods]),
    )


READS = access_rights([(1, 1), (2, 1), (3, 1)], [(1, 0)])


def test_an_object_comes_with_its_rights_and_goes():
    meter = Meter()
    assert meter.get(READER, REGISTER) == [UNDEFINED]
    assert meter.change(ADD, REGISTER, access_rights([(1, 1), (2, 3)], [(1, 1)])) == 0
    # The association was open all the time: rights follow at once, attribute by attribute.
    assert meter.get(READER, REGISTER) == 99
    assert meter.get(READER, REGISTER, 3) == [DENIED]
    assert meter.act(READER, REGISTER, 1) == 0
    assert meter.get(READER, REGISTER) == 0
    assert meter.objects()[REGISTER] == [
        [[1, 1, None], [2, 3, None], [3, 0, None]],
        [[1, 1]],
    ]
    # Nothing has changed for the others.
    assert REGISTER not in meter.objects(FIXED)
    assert meter.get(FIXED, REGISTER) == [UNDEFINED]
    assert meter.change(REMOVE, REGISTER) == 0
    assert REGISTER not in meter.objects()
    assert meter.get(READER, REGISTER) == [UNDEFINED]
    assert meter.act(READER, REGISTER, 1) == UNDEFINED


def test_selective_access_follows():
    meter = Meter()
    assert meter.change(ADD, REGISTER, READS) == 0
    of = (15, 3, "0.0.40.0.2.255")
    by_class = b"\2" + array(u16(3))
    assert [e[:3] for e in meter.get(READER, of, 2, by_class)] == [[3, 0, fakes.obis(REGISTER[2])]]
    one = b"\4" + struct_(u16(3), octets(fakes.obis(REGISTER[2])))
    assert len(meter.get(READER, of, 2, one)) == 1
    assert meter.change(REMOVE, REGISTER) == 0
    assert meter.get(READER, of, 2, by_class) == []
    assert meter.get(READER, of, 2, one) == []


def test_what_the_definition_has_given_goes_and_comes_back():
    meter = Meter()
    assert meter.get(READER, DATA) == 7
    assert meter.change(REMOVE, DATA) == 0
    assert meter.get(READER, DATA) == [UNDEFINED] and DATA not in meter.objects()
    assert meter.change(ADD, DATA, access_rights([(2, 3)])) == 0
    assert meter.set(READER, DATA, 2, u8(8)) == 0
    assert meter.get(READER, DATA) == 8
    assert meter.get(READER, DATA, 1) == [DENIED]


def test_new_rights_for_an_object_that_is_there():
    meter = Meter()
    assert meter.change(ADD, DATA, access_rights([(1, 1)])) == 0
    assert meter.get(READER, DATA) == [DENIED]
    assert meter.objects()[DATA] == [[[1, 1, None], [2, 0, None]], []]


def test_a_client_that_reads_what_is_taken_away():
    """Between two blocks of object_list an object goes: the list cannot be told to its end."""
    meter = Meter()
    for what in (REGISTER, PROFILE):
        assert meter.change(ADD, what) == 0
    talk = meter.clients[READER]
    assert talk.open(None, max_pdu=64).startswith("61")
    block = talk.say("C001C1 000F 0000280002FF 02 00")
    assert block.startswith("C402C100")
    for what in (REGISTER, PROFILE, DATA):
        assert meter.change(REMOVE, what) == 0
    said = []
    number = 1
    while block.startswith("C402C100") and number < 30:
        block = talk.say("C002C1%08X" % number)
        number += 1
        said.append(block)
    # data-access-result long-get-aborted
    assert said[-1].startswith("C402C101") and said[-1].endswith("010F")


def test_changes_last_across_power_cuts():
    meter = Meter()
    assert meter.change(ADD, REGISTER, READS) == 0
    assert meter.change(REMOVE, DATA) == 0
    meter = meter.off_and_on()
    assert meter.get(READER, REGISTER) == 99
    assert meter.get(READER, DATA) == [UNDEFINED]
    assert meter.change(REMOVE, REGISTER) == 0
    assert meter.change(ADD, DATA, access_rights([(2, 1)])) == 0
    meter = meter.off_and_on()
    assert meter.get(READER, REGISTER) == [UNDEFINED]
    assert meter.get(READER, DATA) == 7


# Rights as each version writes them, and what comes of them: what a client may do, and what
# object_list of version 3 would say of it.
MODES = [
    (0, 0, 0), (0, 1, 1), (0, 2, 2), (0, 3, 3),
    (1, 3, 3), (1, 4, 0x05), (1, 5, 0x06), (1, 6, 0x07),
    (2, 1, 1), (2, 6, 0x07),
    (3, 0x05, 0x05), (3, 0xFF, 0xFF),
]  # fmt: skip


@pytest.mark.parametrize("version, mode, bits", MODES)
def test_access_modes_of_each_version(version, mode, bits):
    meter = Meter(version)
    method = boolean if version == 0 else enum
    rights = access_rights([(2, mode)], [(1, 1)], method)
    assert meter.change(ADD, REGISTER, rights) == 0
    row = meter.model.find(0, b"\0\3" + fakes.obis(REGISTER[2]), 0)
    access = meter.server.associations[1].access
    at = access[2 * row] << 8 | access[2 * row + 1]
    assert list(meter.model.access[at : at + 4]) == [0, bits, 0, 1]
    # And it is shown as it came.
    assert meter.objects()[REGISTER] == [
        [[1, 0, None], [2, mode, None], [3, 0, None]],
        [[1, 1]],
    ]


def test_methods_that_have_to_be_authenticated():
    meter = Meter(2)
    assert meter.change(ADD, REGISTER, access_rights([], [(1, 2)])) == 0
    assert meter.act(READER, REGISTER, 1) == 13  # scope-of-access-violated: in plain text
    assert meter.objects()[REGISTER][1] == [[1, 2]]


def test_selectors_that_the_attribute_has():
    meter = Meter()
    rights = access_rights([(2, 1, [1, 2])], [(1, 0), (2, 1)])
    assert meter.change(ADD, PROFILE, rights) == 0
    assert meter.objects()[PROFILE][0][1] == [2, 1, [1, 2]]


ELEMENT = struct_(u16(3), u8(0), octets(fakes.obis(REGISTER[2])), access_rights())
HEAD = ELEMENT[:-6]
BAD = [
    # octets of the parameter; what is wrong with it; action_result of add_object, of remove_object
    (b"", "nothing", TYPE_UNMATCHED, TYPE_UNMATCHED),
    (i8(0), "another type", TYPE_UNMATCHED, TYPE_UNMATCHED),
    (struct_(u16(3), u8(0), octets(fakes.obis(REGISTER[2]))), "no rights", TYPE_UNMATCHED, None),
    (struct_(u16(3), u8(0), octets(b"12345"), access_rights()), "a short name", 12, 12),
    (ELEMENT + b"\0", "an octet too many", MALFORMED, MALFORMED),
    (ELEMENT[:-1], "an octet too few", MALFORMED, MALFORMED),
    (HEAD + struct_(array(struct_(u8(1), enum(1), b"\0")), array()), "unsigned id", 12, 12),
    (HEAD + struct_(array(struct_(i8(1), u8(1), b"\0")), array()), "unsigned mode", 12, 12),
    (HEAD + struct_(array(), array(struct_(i8(1), boolean(1)))), "boolean mode", 12, 12),
    (HEAD + access_rights([(0, 1)]), "attribute 0", OTHER_REASON, UNDEFINED),
    (HEAD + access_rights([(4, 1)]), "attribute 4", OTHER_REASON, UNDEFINED),
    (HEAD + access_rights([(-1, 1)]), "attribute -1", OTHER_REASON, UNDEFINED),
    (HEAD + access_rights([(2, 1), (2, 1)]), "attribute 2 twice", OTHER_REASON, UNDEFINED),
    (HEAD + access_rights([(2, 1, [1])]), "a selector", OTHER_REASON, UNDEFINED),
    (HEAD + access_rights([], [(2, 1)]), "method 2", OTHER_REASON, UNDEFINED),
    (HEAD + access_rights([], [(1, 1), (1, 0)]), "method 1 twice", OTHER_REASON, UNDEFINED),
    (HEAD + access_rights([], [(1, 2)]), "a bit that is not used", OTHER_REASON, UNDEFINED),
]


@pytest.mark.parametrize("data, why, added, removed", BAD, ids=[bad[1] for bad in BAD])
def test_what_is_refused(data, why, added, removed):
    meter = Meter()
    before = bytes(meter.model.image), meter.objects()
    of = 15, 3, "0.0.40.0.2.255"
    if not data:
        assert meter.ask(MANAGER, "C301C1", of, ADD)[3] == added
        assert meter.ask(MANAGER, "C301C1", of, REMOVE)[3] == removed
    else:
        assert meter.act(MANAGER, of, ADD, data) == added
        assert meter.act(MANAGER, of, REMOVE, data) == (added if removed is None else removed)
    assert (bytes(meter.model.image), meter.objects()) == before


@pytest.mark.parametrize("version, mode", [(0, 4), (1, 7), (2, 7), (2, 255)])
def test_modes_that_a_version_has_not(version, mode):
    meter = Meter(version)
    method = boolean if version == 0 else enum
    assert meter.change(ADD, REGISTER, access_rights([(2, mode)], [], method)) == OTHER_REASON
    if version:
        assert meter.change(ADD, REGISTER, access_rights([], [(1, 3)])) == OTHER_REASON
    assert REGISTER not in meter.objects()


@pytest.mark.parametrize(
    "what, result",
    [
        ((3, 0, "1.0.2.8.0.255"), UNDEFINED),  # was never in the definition
        ((4, 0, "1.0.1.8.0.255"), INCONSISTENT),  # another class of that name is
        ((3, 1, "1.0.1.8.0.255"), INCONSISTENT),  # another version is
    ],
)
def test_objects_that_are_not_there(what, result):
    meter = Meter()
    for method in (ADD, REMOVE):
        assert meter.change(method, what) == result


def test_what_an_association_has_to_have():
    meter = Meter()
    for what in (NAME, (15, 3, "0.0.40.0.0.255"), (15, 3, "0.0.40.0.2.255")):
        assert meter.change(REMOVE, what) == DENIED
        assert what in meter.objects()


def test_both_names_of_the_current_association():
    """New rights under one name are those of its object, under the other one, too."""
    meter = Meter()
    rights = access_rights([(1, 1), (2, 1), (7, 0)])
    assert meter.change(ADD, (15, 3, "0.0.40.0.0.255"), rights) == 0
    assert meter.get(READER, (15, 3, "0.0.40.0.2.255"), 3) == [DENIED]
    assert meter.get(READER, (15, 3, "0.0.40.0.0.255"), 3) == [DENIED]
    assert meter.get(READER, (15, 3, "0.0.40.0.0.255"), 1) == fakes.obis("0.0.40.0.0.255")


def test_room_is_what_the_definition_says():
    meter = Meter(room='"20 octets"')
    # Of a Register 3 + 4 octets, of what is removed 3.
    assert meter.change(ADD, REGISTER, READS) == 0
    assert meter.change(REMOVE, DATA) == 0
    assert meter.change(ADD, PROFILE) == OTHER_REASON  # 3 + 8 + 2
    assert PROFILE not in meter.objects()
    # What takes the place of something else still finds some.
    assert meter.change(ADD, DATA, access_rights([(2, 1)])) == 0
    assert meter.change(REMOVE, REGISTER) == 0
    assert meter.change(ADD, REGISTER, READS) == 0
    assert meter.get(READER, REGISTER) == 99


def test_an_association_that_is_fixed():
    meter = Meter()
    assert meter.change(ADD, REGISTER, READS, FIXED) == DENIED
    assert meter.change(REMOVE, DATA, None, FIXED) == DENIED
    assert meter.get(FIXED, DATA) == 7


def test_only_who_may_run_the_method():
    meter = Meter()
    assert meter.change(ADD, REGISTER, READS, READER, by=READER) == DENIED


@pytest.mark.parametrize("room", ["-1", "true", '"many"', "5000", '"9999 octets"'])
def test_rooms_that_a_definition_cannot_have(room):
    with pytest.raises(source.TableError) as e:
        packed(room=room)
    assert "object_list" in str(e.value)


def test_with_the_heap_locked(micropython, tmp_path):
    """On MicroPython: what has been said here is said there, and the same comes back."""
    meter = Meter()
    lines = []
    for sap, talk in meter.clients.items():
        aarq = small.aarq(None).hex()
        lines += ["as %d 1" % sap, "> " + spaced(aarq), "< " + spaced(talk.say(aarq))]
    for sap, what, method in (
        (MANAGER, REGISTER, ADD),
        (MANAGER, REGISTER, ADD),
        (READER, REGISTER, 0),
        (MANAGER, REGISTER, REMOVE),
        (READER, REGISTER, 0),
        (MANAGER, REGISTER, REMOVE),
        (READER, (15, 3, "0.0.40.0.0.255"), 0),
    ):
        if method:
            element = struct_(u16(what[0]), u8(what[1]), octets(fakes.obis(what[2])), READS)
            request = bytes.fromhex("C301C1000F0000280002FF") + bytes((method, 1)) + element
        else:
            request = b"\xc0\1\xc1" + what[0].to_bytes(2, "big") + fakes.obis(what[2]) + b"\2\0"
        answer = meter.clients[sap].say(request.hex())
        lines += ["as %d 1" % sap, "> " + spaced(request.hex()), "< " + spaced(answer)]
    said = tmp_path / "said.txt"
    said.write_text("\n".join(lines) + "\n")
    (tmp_path / "definition.py").write_text(show.module(compiled(3, 3)))
    done = subprocess.run(
        [micropython, "-X", "heapsize=1M", PLAYER, tmp_path, "wrapper", "-", said],
        env={"MICROPYPATH": ":".join(str(ROOT / p) for p in ("lib", ""))},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout == "ok %s %d\n" % (said, 10), done.stdout + done.stderr


def spaced(text):
    return " ".join(text[k : k + 2] for k in range(0, len(text), 2))


def test_any_order_of_changes_is_as_a_model_says():
    meter = Meter()
    rng = random.Random(7)
    expected = {REGISTER: None, PROFILE: None, DATA: 1}
    for _ in range(400):
        what = rng.choice(list(expected))
        if rng.random() < 0.5:
            mode = rng.choice((0, 1))
            assert meter.change(ADD, what, access_rights([(1, mode)])) == 0
            expected[what] = mode
        else:
            result = meter.change(REMOVE, what)
            assert result == (UNDEFINED if expected[what] is None else 0)
            expected[what] = None
        if rng.random() < 0.05:
            meter = meter.off_and_on()
        for k, mode in expected.items():
            answer = meter.get(READER, k, 1)
            assert answer == ([UNDEFINED] if mode is None else fakes.obis(k[2]) if mode else [3])
