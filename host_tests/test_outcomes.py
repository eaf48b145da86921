# SPDX-License-Identifier: MIT
"""What bad input hears, by the tables in the docstrings of lib/dlms: association.py (what does not
belong to a long transfer), descriptors.py (selections), variables.py (short names). Each row, and
each field of the first table, is a test. (General blocks: OUTCOMES of gbt.py in test_gbt.py; loss
of the association: test_association_loss.py; ACCESS: test_access.py; names that overlap in a
definition: test_base_names.py.)"""

import re

import pytest
from dlms import association, descriptors, variables
from short import ShortMeter
from small import Meter
from test_action import REGISTER, meter  # noqa: F401 (the fixture)


def table(module, first):
    """Rows of the table of a docstring that begins with the row `first`: words between gaps."""
    lines = iter(module.__doc__.splitlines())
    rows = []
    for line in lines:
        words = re.split(r" {2,}", line.strip())
        if rows and not line.strip():
            return rows
        if rows or words[0] == first:
            rows.append(words)
    return rows


# --- Long transfers ---------------------------------------------------------------------------

OCTETS = "0001 0000603203FF 02 ".replace(" ", "")
GET_NUMBER = "C001C1" + "00010000603201FF" + "0200"


class Transfer:
    """A long transfer that has been begun. block(): its block of a number; right: the number that
    comes next; heard(): the answer with a result; other: a block of another transfer."""

    short = False
    none = 16

    def __init__(self, meter):  # noqa: F811
        self.meter = meter
        self.talk = self.open()
        self.begin()

    def open(self):
        t = self.meter.talk()
        t.open(max_pdu=60)
        return t

    def say(self, apdu):
        return self.talk.say(apdu)

    def request(self):
        """A request of its own kind of names, and its answer."""
        return GET_NUMBER, "C401C1001107"

    foreign = "0501020108"

    def one(self, number):
        """The answer to a block that is not the last."""


class LongGet(Transfer):
    right, goes_on, other, others = 1, "C402C1", "C103C1010000000200", "C503C1%02X00000002"

    def begin(self):
        assert self.say("C101C1" + OCTETS + "000950" + "5A" * 80) == "C501C100"
        assert self.say("C001C1" + OCTETS + "00").startswith("C402C100")

    def block(self, number, iip=0xC1):
        return "C002%02X%08X" % (iip, number)

    def heard(self, code, number, iip=0xC1):
        return "C402%02X01%08X01%02X" % (iip, number, code)


class NoTransfer(LongGet):
    def begin(self):
        """The last block of a GET has come."""
        super().begin()
        assert self.say(self.block(1)).startswith("C402C101")


class LongSet(Transfer):
    right, goes_on, other, others = 2, "C503C100", "C002C100000001", "C402C1010000000101%02X"
    none = 18

    def begin(self):
        assert self.say("C102C1" + OCTETS + "000000000001030904AA") == "C502C100000001"

    def block(self, number, iip=0xC1):
        return "C103%02X01%08X03BBCCDD" % (iip, number)

    def heard(self, code, number, iip=0xC1):
        return "C503%02X%02X%08X" % (iip, code, number)


class LongAction(Transfer):
    right, goes_on, other, others = 2, "C701C100", "C002C100000001", "C402C1010000000101%02X"

    def begin(self):
        name = REGISTER.replace(" ", "") + "01"
        assert self.say("C304C1" + name + "0000000001020903") == "C704C100000001"

    def block(self, number, iip=0xC1):
        return "C306%02X01%08X03AABBCC" % (iip, number)

    def heard(self, code, number, iip=0xC1):
        return "C701%02X%02X00" % (iip, code)


class LongActionAnswer(LongAction):
    right, goes_on = 1, "C702C1"

    def begin(self):
        self.meter.double.returns = b"\x09\x50" + bytes(80)
        name = REGISTER.replace(" ", "") + "01"
        assert self.say("C301C1" + name + "010F00").startswith("C702C100")

    def block(self, number, iip=0xC1):
        return "C302%02X%08X" % (iip, number)


class Short(Transfer):
    short = True
    foreign = GET_NUMBER

    def open(self):
        return self.meter.short(max_pdu=60)

    def request(self):
        return "0501022A48", "0C01001107"


class LongRead(Short):
    right, goes_on, other, others = 1, "0C0102", "060107010002010900", "0D0101%02X"

    def begin(self):
        assert self.say("0601020148010950" + "5A" * 80) == "0D0100"
        assert self.say("0501020148").startswith("0C010200")

    def block(self, number, iip=0):
        return "050105%04X" % number

    def heard(self, code, number, iip=0):
        return "0C0101%02X" % code


class LongReadRequest(LongRead):
    right, goes_on = 2, "0C0100"

    def begin(self):
        assert self.say(self.first()) == "0C01030001"

    def first(self):
        return "05010600000102" + "0102"

    def block(self, number, iip=0):
        return "05010601%04X02" % number + "2A48"

    def one(self, number):
        return self.first(), "0C01030001"


class LongWrite(Short):
    right, goes_on, other, others, none = 2, "0D0100", "0501050001", "0C0101%02X", 18

    def begin(self):
        assert self.say(self.first()) == "0D01020001"

    def first(self):
        return "06010700000101" + "0904" + "01022A48"

    def block(self, number, iip=0):
        return "06010701%04X01" % number + "0903" + "011163"

    def heard(self, code, number, iip=0):
        return "0D0101%02X" % code

    def one(self, number):
        return self.first(), "0D01020001"


TRANSFERS = {
    "GET": LongGet,
    "SET": LongSet,
    "ACTION": LongAction,
    "ACTION answer": LongActionAnswer,
    "Read": LongRead,
    "Read request": LongReadRequest,
    "Write": LongWrite,
    "none": NoTransfer,
}
(_, *COMES), *ROWS = table(association, "transfer")
FIELDS = [
    (what, comes, field)
    for what, *fields in ROWS
    for comes, field in zip(COMES, fields)
    if field != "none"
]


def test_the_table_is_whole():
    assert [row[0] for row in ROWS] == list(TRANSFERS)
    assert all(len(row) == 1 + len(COMES) for row in ROWS)
    assert len(FIELDS) == 8 * 8 - 3


@pytest.mark.parametrize("what, comes, field", FIELDS, ids=lambda x: x)
def test_what_does_not_belong_to_a_transfer(what, comes, field, meter):  # noqa: F811
    t = TRANSFERS[what](ShortMeter() if issubclass(TRANSFERS[what], Short) else meter)
    outcome, after = field.split()
    if comes in ("jumps", "again"):
        number = t.right + (2 if comes == "jumps" else -1)
        if outcome == "one":
            request, answer = t.one(number)
        else:
            request, answer = t.block(number), t.heard(int(outcome), number)
    elif comes == "other id":
        request, answer = t.block(t.right, 0xC2), t.heard(int(outcome), t.right, 0xC2)
    elif comes == "not whole":
        request, answer = t.block(t.right) + "00", outcome
    elif comes == "other's":
        request, answer = t.other, t.others % int(outcome)
    elif comes == "foreign":
        request, answer = t.foreign, outcome
    else:
        assert outcome == "served"
        request, answer = t.request()
    asked = t.talk if comes != "stranger" else t.open()
    got = asked.say(request)
    assert got[: len(answer)] == answer
    assert len(got) == len(answer) or comes == "not whole" and t.short
    got = t.say(t.block(t.right))
    assert got.startswith(t.goes_on) if after == "+" else got == t.heard(t.none, t.right)


# --- Selections, and short names ----------------------------------------------------------------

G, S = "C001C1", "C101C1"
UNSIGNED, CURRENT = "00010000603201FF", "000F0000280000FF"
NOWHERE, CLASSES = "00010000630101FF", "0101120003"

SELECTIONS = {
    "selector that the attribute has not": G + CURRENT + "02010900",
    "selector 0": G + CURRENT + "02010000",
    "selection of a method's object": G + "00030100010800FF" + "02010100",
    "selection that was not negotiated": G + CURRENT + "020102" + CLASSES,
    "selection of attribute 0": G + CURRENT + "000102" + CLASSES,
    "selection of an object that is not": G + NOWHERE + "02010100",
    "selection of an attribute that is not": G + UNSIGNED + "09010100",
    "parameter of another type": G + CURRENT + "020102" + "1100",
    "parameter that is cut": G + CURRENT + "020102" + CLASSES[:-2],
    "neither with nor without": G + CURRENT + "020202" + CLASSES,
    "in a SET": S + UNSIGNED + "020101001105",
}


@pytest.mark.parametrize(
    "what, outcome", table(descriptors, "selector that the attribute has not")
)
def test_a_selection(what, outcome):
    t = Meter().talk()
    t.open(conformance="7EFF1B" if "negotiated" in what else "7EFF1F")
    request = SELECTIONS[what]
    answer = outcome
    if outcome.isdigit():
        answer = ("C501C1%02X" if request.startswith(S) else "C401C101%02X") % int(outcome)
    assert t.say(request) == answer
    assert t.say(GET_NUMBER) == "C401C1001107"


VARIABLES = {
    "a name that nobody has": "0501024000",
    "a name between two attributes": "0501022A4C",
    "a name behind an object's last": "0501022A50",
    "an object that the client does not see": "0501020158",
    "an attribute that it may not read": "0501020168",
    "a method, as a variable": "0501020128",
    "a selector that the attribute has not": "050104FA080900",
    "selector 0 of an attribute": "050104FA080000",
    "a parameter of another type": "050104FA080200",
    "a write of a part": "0601042A480100011105",
    "a write of what it may not write": "060102FD08010900",
    "a write of another type": "0601022A4801120005",
}


@pytest.mark.parametrize("what, outcome", table(variables, "a name that nobody has"))
def test_a_variable(what, outcome):
    m = ShortMeter()
    client = m.short(
        client=16 if "see" in what else 2, **({"secret": None} if "see" in what else {})
    )
    answer = "0D0101%02X" if VARIABLES[what].startswith("06") else "0C0101%02X"
    assert client.say(VARIABLES[what]) == answer % int(outcome)
    assert m.short().say("0501022A48") == "0C01001107"


def test_each_row_has_its_request():
    assert [row[0] for row in table(variables, "a name that nobody has")] == list(VARIABLES)
    rows = table(descriptors, "selector that the attribute has not")
    assert [row[0] for row in rows] == list(SELECTIONS)
