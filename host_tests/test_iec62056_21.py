# SPDX-License-Identifier: MIT
"""The optical port as conversations: sign-on, readout, programming, HDLC and back (IEC 62056-21).

The state machine is held against its table: each pair of a state and an event is tried, and what
cannot be changes nothing. The order of messages is that of the standard's flow charts as public
readers have them; texts of readouts are the project's own (lib/cosem/data_text.py).
"""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optical import (
    ACK,
    BREAK,
    EOT,
    ETX,
    IDENTIFICATION,
    NAK,
    REQUEST,
    SOH,
    STX,
    Line,
    bcc,
    block,
    command,
    with_parity,
)

from dlms.prim import crc16
from profiles import iec62056_21 as profile
from profiles.iec62056_21 import TABLE, baud_rate

STATES = (
    "ASLEEP IDLE IDENTIFYING WAITING CONFIRMING READING READ PROGRAMMING ANSWERING LEAVING BINARY "
    "DIRECT"
).split()
EVENTS = (
    "WAKE REQUEST READ PROGRAM BINARY WRONG COMMAND BREAK ACK NAK BAD SENT TIME_OUT ENDED"
).split()
ACTIONS = (
    "NONE IDENTIFY LISTEN READOUT READOUT_SLOW DONE REPEAT PROGRAM CARRY_OUT REFUSE CONFIRM "
    "HAND_OVER SIGN_OFF"
).split()
AS_IT_WAS = 15
RATES = (300, 600, 1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200)
NOTHING = 0x0F

LINES = (
    "C.1.0(00000042)\r\n"
    "0-0:1.0.0(000101000000)\r\n"
    "1.8.0(12345.678*kWh)\r\n"
    "1.8.0*1(11000.000*kWh)\r\n"
    "1.7.0(-0.250*kW)\r\n"
    "32.7.0(230.1*V)\r\n"
    "1.4.0(0.34*kW)\r\n"
    "C.1.2(3x230_400 V _5-60 A_)\r\n"
    "!\r\n"
)
READOUT = block(LINES)
OPERAND = command("P0", "(00000042)")
REGISTER = block("1.8.0(12345.678*kWh)")
HDLC_LINK_MS = 10000
PAUSE_MS = 1500
PROGRAMMING_MS = 60000
MODE, BATTERY = 4, 5  # places in OPTICAL


def name_of(line):
    return STATES[line.device.state]


def frame(control, info=b"", server=1, client=16):
    head = bytes((0xA0, 7 + (len(info) + 2 if info else 0), server << 1 | 1, client << 1 | 1))
    head = checked(head + bytes((control,)))
    return b"\x7e" + (checked(head + info) if info else head) + b"\x7e"


def checked(part):
    crc = crc16(part, 0, len(part), 0xFFFF) ^ 0xFFFF
    return part + bytes((crc & 0xFF, crc >> 8))


SNRM, DISC = frame(0x93), frame(0x53)
UA, DM = 0x73, 0x1F


# --- The table ------------------------------------------------------------------------------


def in_state(name):
    """A line whose device is in a state, by what a client has said."""
    line = Line(terms={BATTERY: 1} if name == "ASLEEP" else ())
    if name == "IDENTIFYING":
        line.hear(REQUEST)
    elif name == "WAITING":
        line.sign_on()
    elif name == "CONFIRMING":
        line.sign_on()
        line.hear(ACK + b"252\r\n")
    elif name == "READING":
        line.sign_on()
        line.hear(ACK + b"050\r\n")
    elif name == "READ":
        line.sign_on(b"050")
    elif name == "PROGRAMMING":
        line.program()
    elif name == "ANSWERING":
        line.program()
        line.hear(command("R1", "1.8.0()"))
    elif name == "LEAVING":
        line.program()
        for _ in range(3):
            assert line.ask(b"\x01R1\x03\x00") == NAK
        line.hear(b"\x01R1\x03\x00")
    elif name == "BINARY":
        assert line.sign_on(b"252") == ACK + b"252\r\n"
    elif name == "DIRECT":
        assert line.set(2, "1601") == 0
    assert name_of(line) == name
    return line


def caused(state, event):
    """A line whose device was in a state, and has had an event."""
    line = in_state(state)
    device = line.device
    device._z = 5
    if event == "COMMAND" and state == "PROGRAMMING":
        device.buf[0:10] = b"R1\x021.8.0()"
        device.n = 10
    if event == "SENT":
        device.n_out = 0
    return line, lambda: device.event(EVENTS.index(event), line.now_ms)


def seen(device):
    return device.state, device.baud, device.n_out, device.kind, device._since_ms


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("state", STATES)
def test_each_pair_of_state_and_event(state, event):
    cell = TABLE[STATES.index(state) << 4 | EVENTS.index(event)]
    line, cause = caused(state, event)
    device = line.device
    line.now_ms += 7
    before = seen(device)
    cause()
    if cell == NOTHING:
        assert seen(device) == before
        return
    if cell & 15 != AS_IT_WAS:
        assert device.state == cell & 15
    rates = len(line.rates)
    action = ACTIONS[cell >> 4]
    said = {
        "IDENTIFY": (IDENTIFICATION, 300),
        "READOUT": (READOUT, 9600),
        "READOUT_SLOW": (READOUT, 300),
        "REPEAT": (READOUT if state == "READ" else OPERAND, 9600),
        "PROGRAM": (OPERAND, 9600),
        "CARRY_OUT": (REGISTER, 9600),
        "REFUSE": (NAK, 9600),
        "CONFIRM": (ACK + b"252\r\n", 300),
    }.get(action)
    if said is None:
        assert line.run(400) == b""
    else:
        assert line.run(400) == said[0]
        assert set(line.rates[rates:]) == {said[1]}
    if action == "SIGN_OFF":
        assert name_of(line) == "IDLE" and device.baud == 300
    elif action == "HAND_OVER":
        assert name_of(line) == "BINARY" and device.baud == 9600


def test_the_table_names_what_there_is():
    assert len(TABLE) == 16 * len(STATES)
    for k, name in enumerate(STATES):
        assert getattr(profile, "_" + name) == k
        for j, event in enumerate(EVENTS):
            assert getattr(profile, "_EV_" + event) == j
            cell = TABLE[k << 4 | j]
            assert cell == NOTHING or cell >> 4 < len(ACTIONS)
            assert cell & 15 in (AS_IT_WAS, *range(len(STATES)))
    assert all(getattr(profile, "_" + a) == k for k, a in enumerate(ACTIONS) if k)


def test_the_numbers_of_rates():
    assert tuple(map(baud_rate, range(10))) == RATES


# --- Sign-on --------------------------------------------------------------------------------


@pytest.mark.parametrize("address", [b"", b"00000042", b"42", b"00042", b"000000000000000042"])
def test_a_request_for_this_device(address):
    assert Line().ask(b"/?" + address + b"!\r\n") == IDENTIFICATION


@pytest.mark.parametrize("address", [b"43", b"420", b"4 2", b"0", b"00000000", b"A42"])
def test_a_request_for_another(address):
    line = Line()
    assert line.ask(b"/?" + address + b"!\r\n") == b""
    assert line.device.dropped == 0
    assert line.ask(REQUEST) == IDENTIFICATION


def test_a_device_whose_address_is_zeros():
    """Whatever their number, zeros are the same address."""
    line = Line()
    assert line.set(6, "0904" + b"0000".hex()) == 0
    assert line.ask(b"/?000000!\r\n") == IDENTIFICATION
    assert line.ask(b"/?1!\r\n", 4000).startswith(STX), "no option select: the readout"


def test_capitals_are_other_letters():
    line = Line()
    assert line.set(6, "0903" + b"aB7".hex()) == 0
    assert line.ask(b"/?AB7!\r\n") == b""
    assert line.ask(b"/?aB7!\r\n") == IDENTIFICATION


@pytest.mark.parametrize(
    "noise",
    [
        b"/?!\n",
        b"/?!\r",
        b"?!\r\n",
        b"/!\r\n",
        b"/?42\r\n",
        b"/?4!2!\r\n",
        b"/?4(2!\r\n",
        b"/?" + b"1" * 33 + b"!\r\n",
        b"/?" + b"1" * 500 + b"!\r\n",
        b"\x00\xff\x7f\x81",
        b"\x15\x06\x01\x02\x03",
        b"/\xbf!\r\n",
        b"\x06050\r\n",
        command("R1", "1.8.0()"),
    ],
)
def test_noise_at_the_sign_on(noise):
    """It is dropped; the next request is heard, at once or when the noise has ended."""
    line = Line()
    assert line.ask(noise, 2 * PAUSE_MS) == b""
    assert name_of(line) == "IDLE"
    assert line.ask(REQUEST) == IDENTIFICATION


def test_a_request_begins_at_its_last_slash():
    assert Line().ask(b"/?4" + REQUEST) == IDENTIFICATION


def test_a_request_in_two_parts():
    line = Line()
    assert line.ask(b"/?", PAUSE_MS - 100) == b""
    assert line.ask(b"!\r\n") == IDENTIFICATION


def test_a_request_that_does_not_go_on():
    line = Line()
    assert line.ask(b"/?", PAUSE_MS + 100) == b""
    assert line.ask(b"!\r\n") == b""
    assert line.device.dropped == 1


def test_the_reaction_time():
    """200 ms, or 20 ms: then the third letter is small."""
    line = Line()
    line.hear(REQUEST)
    assert line.run(190) == b""
    assert line.run(20) == IDENTIFICATION
    line = Line()
    assert line.set(5, "1600") == 0
    line.hear(REQUEST)
    assert line.run(10) == b""
    assert line.run(10) == b"/PMt5\\2PICOMETER\r\n"


@pytest.mark.parametrize("rate", range(10))
def test_the_rate_that_is_proposed(rate):
    """Messages know seven rates: 0 to 6. A faster one is offered as 19200."""
    line = Line()
    assert line.set(4, "16%02X" % rate) == 0
    z = min(rate, 6)
    assert line.ask(REQUEST) == b"/PMT%d\\2PICOMETER\r\n" % z
    assert line.ask(ACK + b"0%d0\r\n" % z) == READOUT
    assert set(line.rates) == {300, RATES[z]}


@pytest.mark.parametrize("rate", range(10))
def test_the_rate_of_the_sign_on(rate):
    line = Line()
    assert line.set(3, "16%02X" % rate) == 0
    assert line.ask(REQUEST) == IDENTIFICATION
    assert set(line.rates) == {RATES[rate]}


# --- Data readout ---------------------------------------------------------------------------


@pytest.mark.parametrize("z", range(6))
def test_a_readout_at_each_rate(z):
    line = Line()
    assert line.sign_on(b"0%d0" % z) == READOUT
    assert set(line.rates[1:]) == {RATES[z]}
    assert line.ask(ACK) == b""
    assert name_of(line) == "IDLE" and line.device.baud == 300


def test_a_readout_is_asked_for_again():
    line = Line()
    assert line.sign_on(b"050") == READOUT
    for _ in range(3):
        assert line.ask(NAK) == READOUT
    assert line.ask(NAK) == BREAK
    assert name_of(line) == "IDLE" and line.device.baud == 300


def test_nobody_says_anything_to_a_readout():
    line = Line()
    assert line.sign_on(b"050") == READOUT
    assert line.run(PAUSE_MS + 100) == b""
    assert name_of(line) == "IDLE" and line.device.baud == 300


def test_no_option_select():
    """The readout comes at the rate of the sign-on."""
    line = Line()
    line.sign_on()
    assert line.run(PAUSE_MS - 200) == b""
    assert line.run(1000) == READOUT
    assert set(line.rates) == {300}


@pytest.mark.parametrize(
    "wrong",
    [
        b"\x06060\r\n",  # faster than was proposed
        b"\x06070\r\n",  # a rate that does not exist
        b"\x06150\r\n",  # the secondary protocol
        b"\x06052\r\n",  # HDLC without the HDLC protocol
        b"\x06250\r\n",  # the HDLC protocol without HDLC
        b"\x06056\r\n",  # an option of a manufacturer
        b"\x0605\r\n",
        b"\x060500\r\n",
        b"\x06050\n",
        b"\x06\x8550\r\n",
        b"\x06" + b"5" * 300 + b"\r\n",
    ],
)
def test_a_wrong_option_select(wrong):
    """As if there had been none."""
    line = Line()
    line.sign_on()
    assert line.ask(wrong) == READOUT
    assert set(line.rates) == {300}
    assert line.device.dropped == 1
    assert line.ask(ACK) == b""
    assert name_of(line) == "IDLE"


@pytest.mark.parametrize("noise", [b"x", b"\x15", b"\x86", b"\x7e\xa0\x07", b"050\r\n"])
def test_noise_instead_of_an_option_select(noise):
    line = Line()
    line.sign_on()
    assert line.ask(noise, 2 * PAUSE_MS) == READOUT
    assert set(line.rates) == {300}


def test_noise_in_front_of_an_option_select():
    line = Line()
    line.sign_on()
    assert line.ask(b"\xff\x00" + ACK + b"050\r\n") == READOUT
    assert set(line.rates[1:]) == {9600}


def test_half_an_option_select():
    line = Line()
    line.sign_on()
    assert line.ask(ACK + b"05", PAUSE_MS - 100) == b""
    assert line.run(600) == READOUT
    assert line.device.dropped == 1


def test_the_request_again_instead_of_an_option_select():
    line = Line()
    line.sign_on()
    assert line.ask(REQUEST) == IDENTIFICATION
    assert line.ask(ACK + b"050\r\n") == READOUT


def test_a_break_instead_of_an_option_select():
    line = Line()
    line.sign_on()
    assert line.ask(BREAK, 3000) == b""
    assert name_of(line) == "IDLE"


def test_a_device_without_a_readout():
    assert Line(terms={1: -1}).sign_on(b"050") == block("!\r\n")


def test_whoever_signs_on_has_no_rights():
    line = Line(terms={7: (-1, -1, -1, -1)})
    assert line.sign_on(b"050") == block("!\r\n")
    line = Line(terms={7: (-1, -1, -1, -1)})
    line.program()
    assert line.ask(command("R1", "1.8.0()")) == block("(ER0D)")
    assert line.ask(command("P1", "(11111111)")) == block("(ER0D)"), "nobody is behind it"


def test_a_readout_takes_one_buffer():
    """A line at a time, whatever their number, in the buffer of the answers of HDLC."""
    line = Line()
    line.sign_on()
    line.hear(ACK + b"050\r\n")
    line.now_ms += 200
    device = line.device
    parts = []
    while device.state == STATES.index("READING"):
        n = device.transmit(line.now_ms)
        assert device.out is line.channel.tx
        parts.append(bytes(device.out[device.out_pos : device.out_pos + n]))
    assert b"".join(parts) == READOUT
    assert len(parts) == 10 and max(map(len, parts)) < 160 and parts[-1] == b""


# --- Modes A, B and C -----------------------------------------------------------------------


def test_mode_a():
    """No rate, no option select: the readout follows at once, at the rate of the sign-on."""
    line = Line(terms={MODE: ord("A")})
    assert line.ask(REQUEST, 1000) == b"/PMT@PICOMETER\r\n" + READOUT
    assert set(line.rates) == {300}
    assert name_of(line) == "IDLE"


@pytest.mark.parametrize("z", range(1, 7))
def test_mode_b(z):
    """The rate as a letter, and the change to it without being asked."""
    line = Line(terms={MODE: ord("B")})
    assert line.set(4, "16%02X" % z) == 0
    assert line.ask(REQUEST, 1000) == b"/PMT" + b"@ABCDEF"[z : z + 1] + b"PICOMETER\r\n" + READOUT
    assert line.rates[0] == 300 and set(line.rates[1:]) == {RATES[z]}
    assert name_of(line) == "IDLE" and line.device.baud == 300


def test_mode_b_at_300_baud_is_mode_a():
    line = Line(terms={MODE: ord("B")})
    assert line.set(4, "1600") == 0
    assert line.ask(REQUEST, 1000) == b"/PMT@PICOMETER\r\n" + READOUT


def test_mode_c_has_no_hdlc():
    line = Line(terms={MODE: ord("C")})
    assert line.ask(REQUEST) == b"/PMT5PICOMETER\r\n"
    assert line.ask(ACK + b"252\r\n") == READOUT
    line = Line(terms={MODE: ord("C")})
    line.ask(REQUEST)
    assert line.ask(ACK + b"051\r\n") == OPERAND


# --- Programming mode -----------------------------------------------------------------------


def test_a_register_is_read():
    line = Line()
    line.program()
    assert line.rates[-1] == 9600
    assert line.ask(command("R1", "1.8.0()")) == REGISTER
    assert line.ask(BREAK) == b""
    assert name_of(line) == "IDLE" and line.device.baud == 300


def test_programming_at_300_baud():
    line = Line()
    assert line.sign_on(b"001") == OPERAND
    assert line.ask(command("R1", "1.8.0()")) == REGISTER
    assert set(line.rates) == {300}


@pytest.mark.parametrize(
    "damaged",
    [
        SOH + b"R1" + STX + b"1.8.0()" + ETX + b"\x00",
        SOH + b"R" + ETX + bcc(b"R" + ETX),
        SOH + b"R1(" + ETX + bcc(b"R1(" + ETX),
        SOH + b"R1" + STX + b"1.8.0\xa8)" + ETX + bcc(b"R1\x021.8.0()" + ETX),
        command("R1", "1" * 500),
    ],
)
def test_a_command_that_is_damaged(damaged):
    """NAK, three times; then the device signs off."""
    line = Line()
    line.program()
    for _ in range(3):
        assert line.ask(damaged) == NAK
    assert line.ask(damaged) == BREAK
    assert name_of(line) == "IDLE" and line.device.dropped == 4


def test_a_good_command_begins_the_count_anew():
    line = Line()
    line.program()
    for _ in range(3):
        for _ in range(3):
            assert line.ask(SOH + b"R1" + ETX + b"\x00") == NAK
        assert line.ask(command("R1", "1.8.0()")) == REGISTER


def test_a_command_that_does_not_end():
    line = Line()
    line.program()
    assert line.ask(SOH + b"R1", PAUSE_MS - 100) == b""
    assert line.run(500) == NAK


def test_an_answer_is_asked_for_again():
    line = Line()
    line.program()
    assert line.ask(NAK) == OPERAND
    assert line.ask(command("R1", "1.8.0()")) == REGISTER
    assert line.ask(SOH + b"R1" + ETX + b"\x00") == NAK, "which is not what comes again:"
    assert line.ask(NAK) == REGISTER
    line.ask(command("R1", "1.8.0()"))
    for _ in range(3):
        assert line.ask(NAK) == REGISTER
    assert line.ask(NAK) == BREAK


@pytest.mark.parametrize(
    "what", [("E2", "(1)"), ("R2", "1.8.0()"), ("W3", "C.13.0(x)"), ("P3", "(1)"), ("X1", None)]
)
def test_a_command_that_is_not_known(what):
    line = Line()
    line.program()
    assert line.ask(command(*what)) == block("(ERFA)")
    assert line.ask(command("R1", "1.8.0()")) == REGISTER


def test_a_command_in_blocks_is_not_known():
    line = Line()
    line.program()
    assert line.ask(command("R1", "1.8.0()", EOT)) == block("(ERFA)")


def test_noise_between_commands():
    line = Line()
    line.program()
    assert line.ask(b"xyz\r\n\x00\xff\x06", 2000) == b""
    assert line.ask(command("R1", "1.8.0()")) == REGISTER


def test_silence_in_programming_mode():
    line = Line()
    line.program(("P1", "(11111111)"))
    assert line.run(PROGRAMMING_MS - 1000) == b""
    assert line.ask(command("R1", "C.50.1()")) == block("C.50.1(7)")
    assert line.run(PROGRAMMING_MS + 100) == b""
    assert name_of(line) == "IDLE" and line.device.baud == 300
    line.program()
    assert line.ask(command("R1", "C.50.1()")) == block("(ER04)"), "and the rights are gone"


def test_noise_does_not_keep_a_session():
    line = Line()
    line.program()
    for _ in range(PROGRAMMING_MS // 1000):
        assert line.ask(b"x", 1000) == b""
    assert line.run(1000) == b""
    assert name_of(line) == "IDLE"


def test_a_new_sign_on_drops_the_rights():
    line = Line()
    assert line.sign_on(b"001") == OPERAND
    assert line.ask(command("P1", "(11111111)")) == ACK
    assert line.ask(REQUEST) == IDENTIFICATION
    assert line.ask(ACK + b"001\r\n") == OPERAND
    assert line.ask(command("R1", "C.50.1()")) == block("(ER04)")


def test_b1_signs_off_too():
    line = Line()
    line.program()
    assert line.ask(command("B1")) == b""
    assert name_of(line) == "IDLE"


# --- Mode E ---------------------------------------------------------------------------------


def connected(z=5):
    line = Line()
    assert line.sign_on(b"2%d2" % z) == ACK + b"2%d2\r\n" % z
    assert line.rates[-1] == 300, "it is confirmed at the rate of the sign-on"
    assert line.device.baud == RATES[z]
    said = line.ask(SNRM)
    assert said[5] == UA and line.rates[-1] == RATES[z]
    return line


@pytest.mark.parametrize("z", range(6))
def test_hdlc_at_each_rate_and_back(z):
    line = connected(z)
    assert line.ask(DISC)[5] == UA
    assert line.rates[-1] == RATES[z], "UA is the last frame at that rate"
    assert name_of(line) == "IDLE" and line.device.baud == 300
    assert line.ask(REQUEST) == IDENTIFICATION


def test_an_association_over_hdlc():
    line = connected()
    aarq = "601DA109060760857405080101BE10040E01000000065F1F040000101D0400"
    said = line.ask(frame(0x10, b"\xe6\xe6\x00" + bytes.fromhex(aarq)))
    assert said[8:12] == b"\xe6\xe7\x00\x61"
    said = line.ask(frame(0x32, b"\xe6\xe6\x00" + bytes.fromhex("C001C1000100002A0000FF0200")))
    assert b"PMT0000000000001" in said
    line.ask(DISC)
    assert all(a.state == 0 for a in line.meter.server.associations)


def test_hdlc_ends_by_its_time_out():
    line = connected()
    assert line.run(119000) == b""
    assert name_of(line) == "BINARY"
    assert line.run(1100) == b""
    assert name_of(line) == "IDLE" and line.device.baud == 300


def test_nobody_connects():
    line = Line()
    line.sign_on(b"252")
    assert line.ask(REQUEST, HDLC_LINK_MS - 1000) == b"", "it is no frame"
    assert name_of(line) == "BINARY"
    line.run(1200)
    assert name_of(line) == "IDLE"
    assert line.ask(REQUEST) == IDENTIFICATION


def test_a_client_that_disconnects_first():
    line = Line()
    line.sign_on(b"252")
    assert line.ask(DISC)[5] == DM
    assert name_of(line) == "BINARY"
    assert line.ask(SNRM)[5] == UA


def test_a_link_that_is_made_anew():
    line = connected()
    assert line.ask(SNRM)[5] == UA
    assert line.ask(DISC)[5] == UA
    assert name_of(line) == "IDLE"


def test_direct_hdlc():
    """default_mode 1: at the comm_speed of IEC HDLC setup, without a sign-on."""
    line = Line()
    assert line.set(2, "1601") == 0
    assert name_of(line) == "DIRECT" and line.device.baud == 9600
    for _ in range(2):
        assert line.ask(SNRM)[5] == UA
        assert line.ask(DISC)[5] == UA
        assert name_of(line) == "DIRECT" and line.device.baud == 9600
    assert line.ask(REQUEST, 3000) == b""


def test_no_protocol_is_hdlc_at_the_proposed_rate():
    line = Line()
    assert line.set(4, "1609") == 0 and line.set(2, "1602") == 0
    assert name_of(line) == "DIRECT" and line.device.baud == 115200
    assert line.ask(SNRM)[5] == UA


def test_settings_wait_for_the_end_of_a_session():
    line = Line()
    line.program()
    assert line.set(3, "1605") == 0 and line.set(4, "1603") == 0
    assert line.device.baud == 9600
    assert line.ask(command("R1", "1.8.0()")) == REGISTER
    line.ask(BREAK)
    assert line.device.baud == 9600, "that of the next sign-on"
    assert line.ask(REQUEST) == b"/PMT3\\2PICOMETER\r\n"


def test_settings_wait_for_the_end_of_a_link():
    line = Line()
    line.set(2, "1601")
    line.ask(SNRM)
    assert line.set(2, "1600") == 0
    assert name_of(line) == "DIRECT"
    assert line.ask(DISC)[5] == UA
    line.run(20)
    assert name_of(line) == "IDLE" and line.device.baud == 300
    assert line.ask(REQUEST) == IDENTIFICATION


# --- Battery --------------------------------------------------------------------------------


def test_a_device_that_sleeps():
    line = Line(terms={BATTERY: 1})
    assert line.ask(REQUEST, 3000) == b""
    line.hear(bytes(66))  # 2.2 s at 300 baud
    assert line.run(1600) == b""
    assert line.ask(REQUEST) == IDENTIFICATION
    assert line.ask(ACK + b"050\r\n") == READOUT
    line.ask(ACK)
    assert name_of(line) == "ASLEEP"


def test_woken_for_nothing():
    line = Line(terms={BATTERY: 1})
    line.hear(bytes(66))
    line.run(1600)
    assert name_of(line) == "IDLE"
    line.run(5100)
    assert name_of(line) == "ASLEEP"
    assert line.ask(REQUEST) == b""


@pytest.mark.parametrize("noise", [bytes(20), bytes(40) + b"\x01" + bytes(40), b"\xff" * 80])
def test_what_does_not_wake(noise):
    line = Line(terms={BATTERY: 1})
    line.hear(noise)
    line.run(1600)
    assert name_of(line) == "ASLEEP"


def test_a_wake_up_message_with_pauses_in_it():
    """NUL each fifth of a second, as the package iec62056-21 sends them; pauses may be 0.5 s."""
    line = Line(terms={BATTERY: 1})
    for _ in range(11):
        line.hear(b"\x00")
        assert line.run(200) == b""
    line.run(1300)
    assert line.ask(REQUEST) == IDENTIFICATION


def test_a_wake_up_message_with_a_long_pause_in_it():
    line = Line(terms={BATTERY: 1})
    for _ in range(3):
        line.hear(bytes(30))
        line.run(700)
    assert name_of(line) == "ASLEEP"


def test_others_do_not_mind_a_wake_up_message():
    line = Line()
    line.hear(bytes(66))
    line.run(1600)
    assert line.ask(REQUEST) == IDENTIFICATION


# --- Parity ---------------------------------------------------------------------------------


def test_seven_bits_on_a_line_with_eight():
    line = Line(parity=True)
    assert line.ask(with_parity(REQUEST)) == with_parity(IDENTIFICATION)
    assert line.ask(with_parity(ACK + b"051\r\n")) == with_parity(OPERAND)
    assert line.ask(with_parity(command("R1", "1.8.0()"))) == with_parity(REGISTER)
    assert line.ask(with_parity(NAK)) == with_parity(REGISTER)
    assert line.ask(with_parity(command("R1", "1.8.0()"))[:-1] + b"\x00") == with_parity(NAK)
    assert line.ask(with_parity(BREAK)) == b""
    assert line.ask(with_parity(REQUEST)) == with_parity(IDENTIFICATION)
    assert line.ask(with_parity(ACK + b"050\r\n")) == with_parity(READOUT)


def test_hdlc_has_no_parity():
    line = Line(parity=True)
    line.ask(with_parity(REQUEST))
    assert line.ask(with_parity(ACK + b"252\r\n")) == with_parity(ACK + b"252\r\n")
    assert line.ask(SNRM)[5] == UA


@pytest.mark.parametrize("k", range(len(REQUEST)))
def test_a_wrong_parity_in_a_request(k):
    line = Line(parity=True)
    octets = bytearray(with_parity(REQUEST))
    octets[k] ^= 0x80
    assert line.ask(bytes(octets), 2000) == b""
    assert line.ask(with_parity(REQUEST)) == with_parity(IDENTIFICATION)


def test_a_wrong_parity_in_a_command():
    line = Line(parity=True)
    line.ask(with_parity(REQUEST))
    line.ask(with_parity(ACK + b"051\r\n"))
    octets = bytearray(with_parity(command("R1", "1.8.0()")))
    octets[6] ^= 0x80
    assert line.ask(bytes(octets)) == with_parity(NAK)


# --- Anything at all ------------------------------------------------------------------------

PIECES = st.one_of(
    st.sampled_from(
        [REQUEST, ACK, NAK, BREAK, ACK + b"050\r\n", ACK + b"051\r\n", ACK + b"252\r\n", SNRM,
         DISC, command("R1", "1.8.0()"), command("P1", "(11111111)"), command("P1", "(x)"),
         command("W1", "C.13.0(x)"), SOH, STX, ETX, b"/", b"/?"]
    ),
    st.binary(max_size=20),
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(PIECES, st.sampled_from([10, 250, 400, 1600])), max_size=12))
def test_whatever_comes_it_ends_where_it_began(pieces):
    line = Line()
    for octets, ms in pieces:
        line.hear(octets)
        line.run(ms)
        assert line.meter.server.fault is None
    line.device.hdlc.inactivity_s = 3
    line.run(2000)
    for _ in range(30):
        if name_of(line) != "IDLE":
            line.now_ms += PROGRAMMING_MS
            line.run(3000)
    assert name_of(line) == "IDLE" and line.device.baud == 300
    assert line.ask(REQUEST) == IDENTIFICATION


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=30))
def test_portions_make_no_difference(cuts):
    line = Line()
    line.program()
    octets = command("R1", "1.8.0()")
    for n in cuts:
        part, octets = octets[:n], octets[n:]
        line.hear(part)
        if octets:
            assert line.run(10) == b""
    line.hear(octets)
    assert line.run(400) == REGISTER
