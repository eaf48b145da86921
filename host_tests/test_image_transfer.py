# SPDX-License-Identifier: MIT
"""cosem/image_transfer.py: every state and method, from the table in its docstring, over a store
in RAM. What the store of the firmware does is in test_update.py.

What results and transitions the Book has: IEC 62056-6-2, 4.4.6; the rest is the module's own.
"""

import re

import pytest
from cosem import image_transfer
from fakes import Meter, array, boolean, octets, struct_, u32

NAME = "0.0.44.0.0.255"
BLOCK_SIZE = 16
SIZE = 100  # six blocks of 16, one of 4
BLOCKS, FIRST, ENABLED, STATUS, TO_ACTIVATE = 3, 4, 5, 6, 7
INITIATE, BLOCK, VERIFY, ACTIVATE = METHODS = (1, 2, 3, 4)
HARDWARE_FAULT, TEMPORARY_FAILURE, READ_WRITE_DENIED, UNAVAILABLE = 1, 2, 3, 11
TYPE_UNMATCHED, OTHER_REASON = 12, 250
RESULTS = {"x": OTHER_REASON, "t": TEMPORARY_FAILURE, "=": 0}

OBJECTS = """
    {class = 18, obis = "0.0.44.0.0.255", image_block_size = %d, image_transfer_enabled = true},
    {class = 18, obis = "0.0.44.0.1.255", image_block_size = 16, image_transfer_enabled = true},
"""

# (state, method) -> what stands in the docstring.
TABLE = {
    (int(line[0]), method): word
    for line in re.findall(r"^    (\d .*)", image_transfer.__doc__, re.M)
    for method, word in zip(METHODS, line.split()[-4:])
}


class Store:
    """The blocks in a dict."""

    longest = 1000

    def __init__(self, row):
        self.row = row
        self.status = self.size = self.n_blocks = self.block_size = self.began = 0
        self.blocks = {}
        self.started = []
        self.works = True

    @property
    def first(self):
        return next((k for k in range(self.n_blocks) if k not in self.blocks), self.n_blocks)

    @property
    def missing(self):
        return self.n_blocks - len(self.blocks)

    def begin(self, identifier, size, block_size):
        if self.works:
            self.blocks = {}
            self.began += 1
            self.identifier, self.size, self.block_size = identifier, size, block_size
            self.n_blocks = -(-size // block_size)
            self.status = 1
        return self.works

    def put(self, number, octets):
        if self.works:
            self.blocks[number] = bytes(octets)
        return self.works

    def start(self, activate):
        self.started.append(activate)
        self.status = 5 if self.status == 3 else 2

    def bits(self, buf, pos, k):
        text = "".join("1" if n in self.blocks else "0" for n in range(self.n_blocks))
        text = text[512 * k : 512 * k + 512]
        part = bytes(int(text[i : i + 8].ljust(8, "0"), 2) for i in range(0, len(text), 8))
        buf[pos : pos + len(part)] = part
        return pos + len(part)

    def about(self, buf, pos):
        element = struct_(u32(self.size), octets(self.identifier), octets(b"signed"))
        buf[pos : pos + len(element)] = element
        return pos + len(element)


class Talk(Meter):
    def __init__(self, block_size=BLOCK_SIZE):
        super().__init__(OBJECTS % block_size)
        self.object = self.row(18, NAME)
        self.store = self.model.images = Store(self.object)

    def ask(self, method, data=b"\x0f\x00", row=None):
        """As an association does: a job is run to its end."""
        row = self.object if row is None else row
        result = self.model.takes(row, method, data, 0, len(data))
        if result:
            return result
        s = self.stream
        s.association = self
        s.row = row
        handler = self.model.handler_of(row)
        result = handler.invoke(s, method, bytearray(data), 0, len(data))
        if result < 0:
            job = handler.job(self, row, method, bytes(data))
            while True:
                try:
                    next(job)
                except StopIteration as e:
                    return e.value[0]
        return result

    def initiate(self, size=SIZE, identifier=b"firmware 2"):
        return self.ask(INITIATE, struct_(octets(identifier), u32(size)))

    def block(self, number, data=None):
        if data is None:
            n = min(self.store.block_size, self.store.size - number * self.store.block_size)
            data = bytes((number + k) & 0xFF for k in range(max(n, 0)))
        return self.ask(BLOCK, struct_(u32(number), octets(data)))

    def invoke(self, method):
        if method == INITIATE:
            return self.initiate()
        return self.block(0) if method == BLOCK else self.ask(method)

    def status(self):
        return self.read(self.object, STATUS)

    def bits(self):
        """image_transferred_blocks_status as text."""
        data = self.get(self.object, BLOCKS)
        assert data[0] == 4
        n, at = (data[1], 2) if data[1] < 0x80 else (int.from_bytes(data[2:4], "big"), 4)
        assert len(data) == at + (n + 7 >> 3)
        return "".join("%d" % (data[at + (k >> 3)] >> 7 - (k & 7) & 1) for k in range(n))


@pytest.fixture
def meter():
    return Talk()


def complete(meter, *without):
    assert meter.initiate() == 0
    for k in range(7):
        if k not in without:
            assert meter.block(k) == 0


# --- The table ------------------------------------------------------------------------------


def test_the_table_is_whole():
    assert sorted(TABLE) == [(state, method) for state in range(8) for method in METHODS]
    assert set(TABLE.values()) <= set("xt=0123456789")


@pytest.mark.parametrize("state, method", sorted(TABLE))
def test_every_method_in_every_state(meter, state, method):
    complete(meter)
    meter.store.status = state
    word = TABLE[state, method]
    result = meter.invoke(method)
    if word in RESULTS:
        assert (result, meter.status()) == (RESULTS[word], state)
        assert meter.store.started == []
    elif method in (VERIFY, ACTIVATE):
        assert (result, meter.status()) == (TEMPORARY_FAILURE, int(word))
        assert meter.store.started == [method == ACTIVATE]
    else:
        assert (result, meter.status()) == (0, int(word))


# --- A transfer -----------------------------------------------------------------------------


def test_before_any_transfer(meter):
    assert meter.status() == 0
    assert meter.get(meter.object, BLOCKS) == b"\x04\x00"
    assert meter.read(meter.object, FIRST) == 0
    assert meter.get(meter.object, TO_ACTIVATE) == array()
    assert meter.read(meter.object, ENABLED) == 1
    assert meter.read(meter.object, 2) == BLOCK_SIZE


def test_blocks_in_any_order_and_twice(meter):
    assert meter.initiate() == 0
    assert meter.bits() == "0000000"
    for number, bits, first in (
        (0, "1000000", 1), (6, "1000001", 1), (2, "1010001", 1), (2, "1010001", 1),
        (1, "1110001", 3), (4, "1110101", 3), (5, "1110111", 3), (3, "1111111", 7),
    ):  # fmt: skip
        assert meter.block(number) == 0
        assert meter.bits() == bits
        assert meter.read(meter.object, FIRST) == first
    assert b"".join(meter.store.blocks[k] for k in range(7)) == bytes(
        (k + i) & 0xFF for k in range(7) for i in range(16 if k < 6 else 4)
    )


def test_initiate_begins_anew(meter):
    complete(meter)
    assert meter.initiate(33, b"") == 0
    assert meter.bits() == "000" and meter.store.identifier == b""
    assert meter.status() == 1


def test_the_bit_string_of_many_blocks():
    meter = Talk(1)
    assert meter.initiate(1000) == 0
    for k in (0, 511, 512, 999):
        assert meter.block(k) == 0
    assert meter.bits() == "1" + "0" * 510 + "11" + "0" * 486 + "1"


def test_a_transfer_that_begins_while_the_bit_string_is_read_ends_it():
    meter = Talk(1)
    meter.initiate(1000)
    s = meter.stream
    assert s.open_attribute(meter.object, BLOCKS) == 0
    out = bytearray(600)
    end = s.fill(out, 0, 40)
    meter.initiate(900)
    s.fill(out, end, 600)
    assert s.result == 15  # long-get-aborted


def test_what_is_to_be_activated(meter):
    complete(meter)
    assert meter.get(meter.object, TO_ACTIVATE) == array()
    meter.store.status = 3
    assert meter.read(meter.object, TO_ACTIVATE) == [[SIZE, b"firmware 2", b"signed"]]
    meter.store.status = 4
    assert meter.get(meter.object, TO_ACTIVATE) == array()


# --- Bad input ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "size, identifier, result",
    [
        (0, b"x", OTHER_REASON),
        (1, b"x", 0),
        (1000, b"x", 0),
        (1001, b"x", OTHER_REASON),
        (1 << 24, b"x", OTHER_REASON),
        (0xFFFFFFFF, b"x", OTHER_REASON),
        (10, b"x" * 32, 0),
        (10, b"x" * 33, OTHER_REASON),
    ],
)
def test_initiate(meter, size, identifier, result):
    complete(meter)
    assert meter.initiate(size, identifier) == result
    if result:
        assert meter.bits() == "1111111" and meter.store.identifier == b"firmware 2"
    else:
        assert meter.bits() == "0" * -(-size // BLOCK_SIZE)


def test_blocks_of_no_size():
    meter = Talk(0)
    assert meter.initiate() == OTHER_REASON
    assert meter.status() == 0


@pytest.mark.parametrize(
    "number, n, result",
    [
        (0, 16, 0),
        (6, 4, 0),
        (7, 16, OTHER_REASON),
        (7, 0, OTHER_REASON),
        (0xFFFFFFFF, 16, OTHER_REASON),
        (1 << 24, 16, OTHER_REASON),
        (0, 0, TYPE_UNMATCHED),
        (0, 15, TYPE_UNMATCHED),
        (0, 17, TYPE_UNMATCHED),
        (6, 3, TYPE_UNMATCHED),
        (6, 5, TYPE_UNMATCHED),
        (6, 16, TYPE_UNMATCHED),
    ],
)
def test_blocks(meter, number, n, result):
    meter.initiate()
    assert meter.block(number, bytes(n)) == result
    assert meter.bits().count("1") == (result == 0)
    assert meter.status() == 1


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "data", [b"", b"\x0f\x01", b"\x11\x00", struct_(), struct_(u32(0)), u32(0)]
)
def test_parameters_of_another_type(meter, method, data):
    complete(meter)
    if method in (VERIFY, ACTIVATE) and data == b"":
        return  # nothing stands for integer(0)
    assert meter.ask(method, data) == TYPE_UNMATCHED
    assert meter.status() == 1 and meter.store.started == []


@pytest.mark.parametrize("method", [VERIFY, ACTIVATE])
@pytest.mark.parametrize("missing", [0, 3, 6])
def test_verify_and_activate_before_all_has_come(meter, method, missing):
    complete(meter, missing)
    assert meter.ask(method) == OTHER_REASON
    assert meter.status() == 1 and meter.store.started == []
    assert meter.block(missing) == 0
    assert meter.ask(method) == TEMPORARY_FAILURE


@pytest.mark.parametrize("method", METHODS)
def test_nothing_is_done_that_is_not_enabled(meter, method):
    complete(meter)
    assert meter.set(meter.object, ENABLED, boolean(False)) == 0
    assert meter.invoke(method) == READ_WRITE_DENIED
    assert meter.status() == 1 and meter.bits() == "1111111"
    assert meter.set(meter.object, ENABLED, boolean(True)) == 0
    assert meter.invoke(method) in (0, TEMPORARY_FAILURE)


@pytest.mark.parametrize("method", METHODS)
def test_an_object_without_a_store(meter, method):
    complete(meter)
    other = meter.row(18, "0.0.44.0.1.255")
    data = {INITIATE: struct_(octets(b""), u32(5)), BLOCK: struct_(u32(0), octets(b"x"))}
    assert meter.ask(method, data.get(method, b"\x0f\x00"), other) == UNAVAILABLE
    assert [meter.get(other, k) for k in (3, 4, 6, 7)] == [
        b"\x04\x00", u32(0), b"\x16\x00", array(),
    ]  # fmt: skip
    meter.model.images = None
    assert meter.invoke(method) == UNAVAILABLE
    assert meter.status() == 0


@pytest.mark.parametrize("attribute", [2, BLOCKS, FIRST, STATUS, TO_ACTIVATE])
def test_the_rest_is_not_to_be_written(meter, attribute):
    data = meter.get(meter.object, attribute)
    assert meter.set(meter.object, attribute, data) == READ_WRITE_DENIED


def test_a_store_that_fails(meter):
    meter.store.works = False
    assert meter.initiate() == HARDWARE_FAULT
    meter.store.works = True
    meter.initiate()
    meter.store.works = False
    assert meter.block(0) == HARDWARE_FAULT
    assert meter.bits() == "0000000"


def test_a_script_activates_but_transfers_nothing(meter):
    complete(meter)
    assert meter.act(meter.object, INITIATE, struct_(octets(b""), u32(5))) == OTHER_REASON
    assert meter.act(meter.object, BLOCK, struct_(u32(6), octets(bytes(4)))) == OTHER_REASON
    meter.store.status = 3
    assert meter.act(meter.object, ACTIVATE) == TEMPORARY_FAILURE
    assert meter.status() == 5


def test_what_happens_between_a_request_and_its_job(meter):
    """The block was asked for; before its job runs another client begins to verify."""
    complete(meter)
    handler = meter.model.handler_of(meter.object)
    data = struct_(u32(0), octets(bytes(16)))
    job = handler.job(meter, meter.object, BLOCK, data)
    next(job)
    meter.ask(VERIFY)
    with pytest.raises(StopIteration) as e:
        next(job)
    assert e.value.value == (TEMPORARY_FAILURE, b"")
    assert any(meter.store.blocks[0])


def test_no_other_method(meter):
    assert meter.act(meter.object, 5) == 4


def test_it_sleeps(meter):
    assert meter.model.handler_of(meter.object).sleeps()
