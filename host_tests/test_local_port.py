# SPDX-License-Identifier: MIT
"""What may be read and written at the local port, by whom, and what becomes of it: programming
mode as a conversation. The meter is that of definitions/optical.toml; client 16 is whoever signs
on, 2 comes with pass_p1, 1 with pass_p2.
"""

import fakes
import pytest
import small
from hypothesis import given, settings
from hypothesis import strategies as st
from optical import ACK, BREAK, DEFINITION, REQUEST, Line, block, command

P1, P2 = ("P1", "(11111111)"), ("P2", "(22222222)")
REFUSED, UNDEFINED, MALFORMED = block("(ER03)"), block("(ER04)"), block("(ERFA)")
UNMATCHED, WRONG, LATER = block("(ER0C)"), block("(ER0D)"), block("(ER02)")
RIGHTS = 7  # place in OPTICAL


@pytest.fixture
def line():
    line = Line()
    line.program()
    return line


def read(line, name, number=1):
    return line.ask(command("R%d" % number, name + "()"))


def write(line, data, number=1):
    return line.ask(command("W%d" % number, data))


# --- Reading --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name, said",
    [
        ("1.8.0", "1.8.0(12345.678*kWh)"),
        ("1-0:1.8.0", "1.8.0(12345.678*kWh)"),
        ("1.8.0*1", "1.8.0*1(11000.000*kWh)"),
        ("1.7.0", "1.7.0(-0.250*kW)"),
        ("32.7.0", "32.7.0(230.1*V)"),
        ("1.4.0", "1.4.0(0.12*kW)"),
        ("C.1.0", "C.1.0(00000042)"),
        ("0-0:1.0.0", "0-0:1.0.0(000101000000)"),
        ("0-0:42.0.0", "0-0:42.0.0(PMT0000000000001)"),
        ("C.50.2", "C.50.2(0102)"),
        ("C.50.6", "C.50.6(1)(2)"),
    ],
)
def test_whoever_signs_on_reads_what_client_16_may(line, name, said):
    assert read(line, name) == block(said)


@pytest.mark.parametrize("data", ["1.8.0()", "1.8.0(1)", "1.8.0(;)"])
def test_r1_and_r5_are_the_same(line, data):
    assert line.ask(command("R1", data)) == line.ask(command("R5", data)) == block(
        "1.8.0(12345.678*kWh)")  # fmt: skip


def test_what_is_not_there(line):
    assert read(line, "1.8.9") == UNDEFINED
    assert read(line, "C.50.1") == UNDEFINED, "client 16 does not see it"
    line.ask(command(*P1))
    assert read(line, "C.50.1") == block("C.50.1(7)")


@pytest.mark.parametrize("data", ["C003(0)", "1.8.0", "1.8.0(", "(1)", "()", "", "1.8.0)(", "?()"])
def test_what_is_no_data_set(line, data):
    assert line.ask(command("R1", data)) == MALFORMED


def test_what_may_not_be_read(line):
    line.ask(command(*P2))
    assert read(line, "C.50.3") == REFUSED, "write only"
    assert read(line, "C.50.4") == WRONG, "only under protection, which there is none here"


def test_what_has_no_room_in_a_line(line):
    """An object list."""
    line.ask(command(*P2))
    assert read(line, "0-0:40.0.0") == MALFORMED


# --- Passwords ------------------------------------------------------------------------------


def test_a_password_gives_the_rights_of_its_client(line):
    assert write(line, "C.50.5(1.00*kW)") == REFUSED
    assert line.ask(command(*P1)) == ACK
    assert write(line, "C.50.5(1.00*kW)") == ACK
    assert write(line, "1.8.0(1.000*kWh)") == REFUSED
    assert line.ask(command(*P2)) == ACK
    assert write(line, "1.8.0(1.000*kWh)") == ACK


@pytest.mark.parametrize(
    "password", ["(11111112)", "(1111111)", "(111111111)", "()", "(22222222)", "( 11111111)"]
)
def test_a_wrong_password(line, password):
    assert line.ask(command("P1", password)) == WRONG
    assert read(line, "C.50.1") == UNDEFINED


@pytest.mark.parametrize("password", ["11111111", "(11111111", "11111111)", "(", ""])
def test_what_is_no_password(line, password):
    assert line.ask(command("P1", password)) == MALFORMED


def test_a_wrong_password_takes_the_rights_of_one_before(line):
    line.ask(command(*P2))
    assert line.ask(command("P1", "(x)")) == WRONG
    assert read(line, "C.50.1") == UNDEFINED


def test_three_wrong_passwords_end_the_session(line):
    for _ in range(2):
        assert line.ask(command("P1", "(x)")) == WRONG
    assert line.ask(command("P1", "(x)")) == BREAK
    assert line.device.baud == 300


def test_many_wrong_passwords_are_delayed():
    """As failed authentications of client 2: the fourth brings a lock; then it is not judged."""
    failed = []
    line = Line()
    line.meter.server.on_authentication_failed = lambda config: failed.append(config[0])
    line.program()
    for _ in range(2):
        line.ask(command("P1", "(x)"))
    line.ask(BREAK)
    line.program()
    for _ in range(2):
        line.ask(command("P1", "(x)"))
    assert failed == [2] * 4
    assert line.ask(command(*P1)) == LATER
    assert line.ask(command(*P2)) == ACK, "which is another client's"
    line.meter.server.guard.tick(1000)
    assert line.ask(command(*P1)) == ACK


def test_no_password_is_none_that_opens():
    line = Line(terms={RIGHTS: (16, 2, 1, 1)})
    line.program()
    assert line.ask(command("W5", "()")) == WRONG
    assert line.set(9, "09023535") == 0
    assert line.ask(command("W5", "(55)")) == ACK
    assert write(line, "C.50.3(1)", 5) == ACK, "W5 with a name is W1"


def test_a_password_without_a_client(line):
    assert line.ask(command("W5", "(55)")) == WRONG


def test_a_client_that_is_not_let_in(line):
    """A meter that waits to be provisioned has none with a secret."""
    meter = small.Meter(DEFINITION, None, storage=fakes.Storage())
    meter.model.configs = tuple(c for c in meter.model.configs if c[0] == 16)
    line = Line(meter)
    line.program()
    assert line.ask(command(*P1)) == line.ask(command(*P2)) == WRONG
    assert read(line, "C.50.1") == UNDEFINED
    assert read(line, "1.8.0") == block("1.8.0(12345.678*kWh)")


def test_a_new_password_counts_at_once(line):
    assert line.set(7, "0904" + b"4321".hex()) == 0
    assert line.ask(command(*P1)) == WRONG
    assert line.ask(command("P1", "(4321)")) == ACK


def test_passwords_of_another_session(line):
    line.ask(command(*P2))
    line.ask(BREAK)
    line.program()
    assert read(line, "C.50.1") == UNDEFINED


# --- Writing --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data, then",
    [
        ("C.50.5(0.37)", "C.50.5(0.37*kW)"),
        ("C.50.5(655.35*kW)", "C.50.5(655.35*kW)"),
        ("C.50.2()", "C.50.2()"),
        ("C.50.2(00FF)", "C.50.2(00FF)"),
        ("C.13.0(bye)", "C.13.0(bye)"),
        ("0-0:96.13.0(%s)" % ("x" * 64), "C.13.0(%s)" % ("x" * 64)),
    ],
)
def test_what_is_written_is_there(line, data, then):
    line.ask(command(*P1))
    assert write(line, data) == ACK
    assert read(line, data.partition("(")[0]) == block(then)


@pytest.mark.parametrize(
    "data, said",
    [
        ("C.50.5(655.36*kW)", UNMATCHED),
        ("C.50.5(0.375*kW)", UNMATCHED),
        ("C.50.5(0.37*W)", MALFORMED),
        ("C.50.5(0.37*)", MALFORMED),
        ("C.50.5(-1)", UNMATCHED),
        ("C.50.5(x)", UNMATCHED),
        ("C.50.5()", UNMATCHED),
        ("C.13.0(%s)" % ("x" * 65), MALFORMED),
        ("C.50.2(0)", UNMATCHED),
        ("C.50.6(1)(2)", UNMATCHED),
        ("C.50.9(1)", UNDEFINED),
        ("C.1.0(1)", REFUSED),
        ("C.50.5", MALFORMED),
    ],
)
def test_what_cannot_be_written(line, data, said):
    line.ask(command(*P1))
    before = bytes(line.meter.model.image)
    assert write(line, data) == said
    assert bytes(line.meter.model.image) == before


def test_the_clock_is_set(line):
    line.ask(command(*P2))
    assert write(line, "0-0:1.0.0(261121180000)") == ACK
    assert read(line, "0-0:1.0.0") == block("0-0:1.0.0(261121180000)")
    assert write(line, "0-0:1.0.0(261321180000)") == UNMATCHED


def test_the_firmware_hears_of_what_was_written(line):
    heard = []
    line.meter.model.on_edit = lambda row, attribute: heard.append(attribute)
    line.ask(command(*P1))
    write(line, "C.13.0(x)")
    assert heard == [2]


# --- Saved before it is acknowledged --------------------------------------------------------


def test_what_is_written_is_saved_before_it_is_acknowledged(line):
    line.meter.server.keeps = True
    line.ask(command(*P1))
    n = len(line.meter.saved)
    line.hear(command("W1", "C.13.0(x)"))
    line.now_ms += 300
    assert line.device.transmit(line.now_ms) == 0
    assert len(line.meter.saved) == n
    assert line.turn() == ACK
    assert len(line.meter.saved) == n + 1


def test_what_cannot_be_saved_is_not_acknowledged(line):
    line.meter.server.keeps = True
    line.meter.model.save = lambda: False
    line.ask(command(*P1))
    assert write(line, "C.13.0(x)") == MALFORMED
    line.meter.server.fault = None


def test_a_session_that_ends_while_it_is_saved(line):
    line.meter.server.keeps = True
    line.ask(command(*P1))
    line.hear(command("W1", "C.13.0(x)"))
    line.now_ms += 300
    line.device.transmit(line.now_ms)
    line.device.reset()
    assert line.run(300) == b""
    assert line.ask(REQUEST).startswith(b"/PMT")


def test_full_storage_refuses(line):
    line.ask(command(*P1))
    line.meter.model.full = True
    assert write(line, "C.13.0(x)") == LATER


# --- Classes that sleep ---------------------------------------------------------------------


def test_classes_are_woken(line):
    """As on a board: what nobody has used sleeps, and the command waits until it is loaded."""
    model = line.meter.model
    line.ask(command(*P2))
    model.sleep()
    row = model.rows(15)[0]
    assert model.handler_of(row) is None or not model.handler_of(row).sleeps()
    assert read(line, "0-0:40.0.0") == MALFORMED
    assert write(line, "C.13.0(x)") == ACK
    assert read(line, "C.13.0") == block("C.13.0(x)")


def test_no_room_to_wake_a_class(line):
    """The server gives up after many turns: whoever asks next hears so."""
    line.ask(command(*P1))
    line.meter.server.refuse(MemoryError())
    assert write(line, "C.13.0(x)") == LATER
    line.meter.server.fault = None
    assert write(line, "C.13.0(x)") == ACK


def test_a_fault_in_a_class_module(line, monkeypatch):
    """The client hears of an error, and the session goes on."""

    def broken(*_):
        raise ZeroDivisionError

    monkeypatch.setattr(line.meter.model, "read", broken)
    assert line.ask(command("R1", "1.8.0()")) == MALFORMED
    assert isinstance(line.meter.server.fault, ZeroDivisionError)
    line.meter.server.fault = None
    monkeypatch.undo()
    assert read(line, "1.8.0") == block("1.8.0(12345.678*kWh)")


# --- The readout ----------------------------------------------------------------------------


def test_a_data_object_may_name_the_readout(tmp_path):
    """An array like capture_objects in an object of class Data."""
    text = DEFINITION.read_text().replace('readout = "0.0.21.0.0"', 'readout = "0.0.21.0.7"')
    text += """
[[objects]]
device = "meter"
access = "everybody"
list = [
    {class = "Data", obis = "0.0.21.0.7", data_type = "array[structure{long-unsigned, octet-string[6], integer, long-unsigned}]", capacity = {value = 3}, value = [[3, "0x0100010800FF", 2, 0], [3, "0x0100630800FF", 2, 0], [3, "0x0100010700FF", 3, 1]]},
]
"""  # noqa: E501
    path = tmp_path / "readout.toml"
    path.write_text(text)
    line = Line(small.Meter(path, None, storage=fakes.Storage()), definition=path)
    line.sign_on()
    # What is not there is left out; an element of a structure is shown alone.
    assert line.ask(ACK + b"050\r\n") == block("1.8.0(12345.678*kWh)\r\n1.7.0(0)\r\n!\r\n")


def test_a_column_that_fails_is_left_out(monkeypatch):
    """A fault of a class module is noted; the readout goes on."""
    line = Line()
    read_ = line.meter.model.read

    def broken(row, *args):
        if line.meter.model.class_id(row) == 8:
            raise ZeroDivisionError
        return read_(row, *args)

    monkeypatch.setattr(line.meter.model, "read", broken)
    said = line.sign_on(b"050")
    assert b"1.8.0(12345.678*kWh)" in said and b"0-0:1.0.0" not in said
    assert isinstance(line.meter.server.fault, ZeroDivisionError)


@pytest.mark.parametrize("value", ["[1, 2]", "[]", "[200, 200, 200]"])
def test_a_data_that_is_no_list_of_columns(tmp_path, value):
    text = DEFINITION.read_text().replace('readout = "0.0.21.0.0"', 'readout = "0.0.21.0.7"')
    text += """
[[objects]]
device = "meter"
access = "everybody"
list = [{class = "Data", obis = "0.0.21.0.7", data_type = "array[unsigned]", value = %s}]
"""
    path = tmp_path / "readout.toml"
    path.write_text(text % value)
    line = Line(small.Meter(path, None, storage=fakes.Storage()), definition=path)
    assert line.sign_on(b"050") == block("!\r\n")
    line.meter.server.fault = None


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(["R1", "R5", "W1", "W5", "P1", "P2"]),
    st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=60),
)
def test_any_command(what, data):
    """One answer, no fault, and the session goes on, unless a password was wrong three times."""
    line = Line()
    line.program(P1)
    said = line.ask(command(what, data))
    assert said == ACK or said[:1] == b"\x02"
    assert line.meter.server.fault is None
    assert line.ask(command("R1", "1.7.0()")) == block("1.7.0(-0.250*kW)")
