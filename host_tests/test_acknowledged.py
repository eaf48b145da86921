# SPDX-License-Identifier: MIT
"""What must survive is acknowledged after it is stored; what cannot be stored is not.

The reference meter over files and over flash, and its management client (test_power_cuts.py).
"""

import pytest
import test_program
from back_ends import RAM, Flash, Files
from test_power_cuts import GET, MESSAGE, START, Life, Memory, set_message

residential = test_program.residential  # a fixture
SET = "C10141 %s 02 00 0905" % MESSAGE + "68656C6C6F"  # "hello"
SUCCESS, TEMPORARY_FAILURE, IMPOSSIBLE = "C5014100", "C5014102", "!D80101"
MEMORY_ERROR = 14


def life_on(definition, back_end):
    life = Life(definition, back_end, Memory())
    set_message(b"")(life)  # what a SET loads is there
    return life


@pytest.fixture(params=[Files, Flash])
def life(request, residential):
    return life_on(residential, request.param())


def request(life, apdu):
    talk = life.client.talk
    return life.server.request(talk.channel, 1, 1, apdu, 0, len(apdu))


def test_a_set_is_stored_before_it_is_acknowledged(residential, life):
    sealed = life.client.protect(bytes.fromhex(SET))
    apdu = bytearray(sealed)  # deciphered in place
    before = life.back_end.count()
    assert request(life, apdu) == -1 and life.server.todo
    assert life.back_end.count() == before
    assert message(residential, life) == b""
    life.server.work()
    assert life.back_end.count() > before
    n = request(life, apdu)
    assert n > 0 and not life.server.todo
    # The same octets, now another request, are a replay: nothing is left of the answer.
    assert (
        request(life, bytearray(sealed)) > 0
        and life.client.talk.channel.tx[64:67] == b"\xd8\x01\x06"
    )
    assert message(residential, life) == b"hello"


def message(residential, life):
    memory = Memory()
    memory.ic = 1000
    return Life(residential, life.back_end.again(), memory, START + 99).state()["message"]


def test_what_only_reads_is_not_held_up(life):
    for _ in range(3):
        life.ask(GET % MESSAGE)
    before = life.back_end.count()
    for _ in range(20):
        assert life.ask(GET % MESSAGE) == "C40141000900"
    life.public.open(None)
    assert life.back_end.count() == before


def test_others_wait_and_a_link_that_is_gone_takes_its_answer_with_it(life):
    apdu = bytearray(life.client.protect(bytes.fromhex(SET)))
    assert request(life, apdu) == -1
    aarq = bytearray.fromhex("601DA109060760857405080101BE10040E01000000065F1F040000101D0400")
    other = life.public.channel
    assert life.server.request(other, 16, 1, aarq, 0, len(aarq)) == -1
    life.client.talk.channel.release()
    life.server.work()
    n = life.server.request(other, 16, 1, aarq, 0, len(aarq))
    while n < 0:
        life.server.work()
        n = life.server.request(other, 16, 1, aarq, 0, len(aarq))
    assert other.tx[other.tx_pos] == 0x61


def test_an_answer_that_nobody_fetches_keeps_nobody_waiting(life):
    apdu = bytearray(life.client.protect(bytes.fromhex(SET)))
    assert request(life, apdu) == -1
    life.server.work()
    assert life.public.open(None).startswith("61")


def test_ram_has_nothing_to_wait_for(residential):
    life = life_on(residential, RAM())
    apdu = bytearray(life.client.protect(bytes.fromhex(SET)))
    assert request(life, apdu) > 0


# --- A store that is full, or worn out ----------------------------------------------------------


def test_a_full_store_is_an_event_and_a_refusal(life):
    set_message(b"before")(life)
    rows = len(life.rows("0007 0100630100FF"))
    life.back_end.wear(True)
    # What could not be stored is not acknowledged, and has not been; nothing is changed any more.
    assert life.ask(SET) == IMPOSSIBLE
    assert life.ask(GET % MESSAGE) == "C40141000906" + b"before".hex().upper()
    for _ in range(3):
        assert life.ask(SET.replace("68656C", "69656C")) == TEMPORARY_FAILURE
    assert life.ask(GET % MESSAGE) == "C40141000906" + b"before".hex().upper()
    program = life.meter.program
    program.step(3600)
    assert life.number(1, "0000616100FF") & 1 << 10  # the error register
    assert program.unsaved and life.meter.storage.failed
    assert len(life.rows("0007 0100630100FF")) == rows
    # It goes on as soon as there is room, and says what had happened.
    life.back_end.wear(False)
    program.step(3600)
    assert not program.unsaved and len(life.rows("0007 0100630100FF")) == rows + 4
    assert MEMORY_ERROR in events(life)
    assert life.ask(SET) == SUCCESS


def test_columns_do_not_change_under_rows_that_cannot_be_cleared(residential):
    """The flash takes values, but where the rows lie it does not."""
    life = life_on(residential, Flash())
    life.meter.program.step(3600)
    model = life.meter.model
    row = model.find(0, bytes.fromhex("0007 0100630100FF"), 0)
    ring = model.handler("profile_generic").profiles[row].ring
    first = ring._place[1]
    device = life.back_end.device
    device.fails = range(first, first + ring._place[3] // ring._place[2])
    period = "C10141 0007 0100630100FF 04 00 06 %08X"
    rows = life.rows("0007 0100630100FF")
    assert life.ask(period % 60) == "C5014101"
    assert life.ask(GET.replace(" 02 ", " 04 ") % "0007 0100630100FF") == "C401410006%08X" % 900
    assert life.rows("0007 0100630100FF") == rows and len(rows) == 4
    device.fails = ()
    assert life.ask(period % 60) == SUCCESS
    assert life.rows("0007 0100630100FF") == []


def events(life):
    return [row[15] for row in life.rows("0007 0000636200FF")]
