# SPDX-License-Identifier: MIT
"""firmware/meter/display.py and drivers/ssd1306.py: what is shown, how long, and how it looks.

Dots are those of MicroPython's own framebuf, where the test plays on it; the commands of the
SSD1306 are from its datasheet (Solomon Systech, rev 1.1, chapters 8.1.5, 9 and 10).
"""

import importlib
import os
import re
import subprocess
import sys
import types

import pytest
import tables
from conftest import ROOT
from energy_chip import Machine
from fakes import CLOCK, HEAD, i8, i16, i64, octets, u8, u16, u32, u64
from tables import TableError, show, source

from firmware.meter.display import Display, Terminal
from firmware.meter.running import forget

OBJECTS = (
    CLOCK
    + """
    {class = 3, obis = "1.0.1.8.0.255", data_type = "double-long-unsigned", unit = "Wh"},
    {class = 3, obis = "1.0.32.7.0.255", data_type = "long-unsigned", scaler = -1, unit = "V"},
    {class = 3, obis = "1.0.13.7.0.255", data_type = "long", scaler = -3, unit = "1"},
    {class = 3, obis = "1.0.99.7.0.255", data_type = "integer", scaler = 2, unit = "W"},
    {class = 1, obis = "0.0.96.1.0.255", data_type = "octet-string", value = "12345678"},
    {class = 1, obis = "0.0.97.97.0.255", data_type = "double-long-unsigned"},
"""
)


def packed(text):
    objects = re.sub(r",\n {5,}", ", ", OBJECTS)
    document = source.Document("%s\n%s]\n%s" % (HEAD, objects, text), "test.toml")
    return tables.compile(tables.load_definition(document))


def entries(*lines):
    return packed("[display]\nlist = [\n%s]\n" % "".join("{%s},\n" % x for x in lines)).fittings


class Model:
    """Values by row and attribute; what is missing cannot be read."""

    def __init__(self, values=None):
        self.values = values or {}
        self.reads = 0

    def read(self, row, attribute, buf, pos, limit):
        self.reads += 1
        data = self.values.get((row, attribute))
        if data is None or len(data) > limit - pos:
            return -1 - 250
        buf[pos : pos + len(data)] = data
        return pos + len(data)


class Screen:
    def __init__(self):
        self.shown = []

    def show(self, label, value, new):
        assert len(label) == len(value) == 16
        self.shown.append((label.decode().rstrip(), value.decode(), new))


class Button:
    held = False

    def pressed(self):
        return self.held


def entry(
    row=1, attribute=2, form=0, shift=0, decimals=0, digits=0, seconds=5, label="x", unit=""
):
    head = bytes((0, row, attribute, form, 128 + shift, decimals, digits, seconds, len(label)))
    return head + label.encode() + unit.encode()


def shown(data, **kwargs):
    """The line that a value makes."""
    screen = Screen()
    display = Display(Model({(1, 2): data}), (entry(**kwargs),), screen)
    display.turn(0)
    return screen.shown[0][1]


# --- Numbers ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data, how, line",
    [
        (u32(0), {}, "0"),
        (u32(1234567), {}, "1234567"),
        (u32(0xFFFFFFFF), {}, "4294967295"),
        (u64(2**64 - 1), {"unit": "W"}, "****************"),
        (u64(10**15), {}, "1000000000000000"),
        (i64(-(2**62)), {}, "****************"),
        (u32(1234567), {"shift": -3, "decimals": 3, "unit": "kWh"}, "1234.567 kWh"),
        (u32(1234567), {"shift": -3, "decimals": 1, "unit": "kWh"}, "1234.5 kWh"),
        (u32(1234567), {"shift": -3, "unit": "kWh"}, "1234 kWh"),
        (u32(1999), {"shift": -3, "unit": "kWh"}, "1 kWh"),
        (u32(7), {"shift": -3, "decimals": 2, "unit": "kWh"}, "0.00 kWh"),
        (u32(77), {"shift": -3, "decimals": 2, "digits": 6, "unit": "kWh"}, "000000.07 kWh"),
        (u32(3123456789), {"shift": -3, "decimals": 2, "digits": 6}, "123456.78"),
        (u16(2301), {"shift": -1, "decimals": 1, "unit": "V"}, "230.1 V"),
        (u16(2301), {"shift": -1, "decimals": 3}, "230.100"),
        (i16(-998), {"shift": -3, "decimals": 3}, "-0.998"),
        (i16(-998), {"shift": -3, "decimals": 0}, "0"),
        (i8(-128), {"shift": 2, "unit": "W"}, "-12800 W"),
        (i8(-5), {"shift": 2, "decimals": 1}, "-500.0"),
        (i8(0), {"shift": 2}, "0"),
        (u8(200), {}, "200"),
        (i16(-32768), {}, "-32768"),
        (b"\x16\x03", {}, "3"),
        (u32(12345678), {"decimals": 5, "unit": "kvarh"}, "****************"),
    ],
)
def test_numbers(data, how, line):
    assert shown(data, **how) == line.rjust(16)


# --- Other values -----------------------------------------------------------------------------

TIME = bytes.fromhex("07EA0B15060E0509000000 00".replace(" ", ""))


@pytest.mark.parametrize(
    "data, form, line",
    [
        (octets(b"12345678"), 1, "12345678"),
        (octets(b"a text that is too long for it"), 1, "a text that is t"),
        (octets(b"\x01ab\xff"), 1, "*ab*"),
        (b"\x0a\x02hi", 1, "hi"),
        (octets(b""), 1, ""),
        (octets(bytes(range(16))), 2, "0001020304050607"),
        (b"\x04\x08\xa5", 2, "08A5"),
        (b"\x03\x01", 2, "01"),
        (octets(TIME), 3, "2026-11-21"),
        (octets(TIME), 4, "14:05:09"),
        (octets(b"\xff\xff\xff\xfe\xff\xff\xff\xff\xff\x80\x00\xff"), 3, "-----" + "-----"),
        (octets(b"\xff" * 12), 4, "--:--:--"),
        (octets(b"short"), 4, "-" * 16),
        (b"\x00", 0, "-" * 16),
        (octets(b"x" * 90), 1, "-" * 16),
    ],
)
def test_other_values(data, form, line):
    assert shown(data, form=form) == line.ljust(16)


def test_what_cannot_be_read_is_dashes():
    screen = Screen()
    Display(Model(), (entry(),), screen).turn(0)
    assert screen.shown == [("x", "-" * 16, True)]


# --- Time and the button ----------------------------------------------------------------------


def test_each_entry_has_its_seconds_and_the_list_begins_again():
    screen = Screen()
    list_ = (entry(label="a", seconds=2), entry(label="b", seconds=1), entry(label="c", seconds=3))
    display = Display(Model({(1, 2): u8(1)}), list_, screen)
    now = 1000
    for _ in range(14):
        display.turn(now)
        assert display.wait_ms(now) == 1000
        now += 1000
    assert [label for label, _value, new in screen.shown] == list("abcabca")
    assert all(new for _label, _value, new in screen.shown)


def test_a_value_that_changes_is_shown_within_a_second():
    model = Model({(1, 2): u8(1)})
    screen = Screen()
    display = Display(model, (entry(seconds=9),), screen)
    for second in range(4):
        display.turn(second * 1000)
        display.turn(second * 1000 + 400)
        model.values[1, 2] = u8(1 + second // 2)
    assert [(v.strip(), new) for _l, v, new in screen.shown] == [("1", True), ("2", False)]
    assert model.reads == 4


def test_the_button_brings_the_next_one_once_for_each_press():
    screen, button = Screen(), Button()
    list_ = (entry(label="a"), entry(label="b"), entry(label="c"))
    display = Display(Model({(1, 2): u8(1)}), list_, screen, button)
    for now in range(0, 2000, 50):
        button.held = now in range(100, 400) or now in range(700, 800)
        display.turn(now)
        assert display.wait_ms(now) <= 50
    assert [label for label, _v, _n in screen.shown] == ["a", "b", "c"]


def test_after_a_long_pause_it_does_not_hurry():
    screen = Screen()
    display = Display(Model({(1, 2): u8(1)}), (entry(label="a"), entry(label="b")), screen)
    display.turn(0)
    display.turn(60000)
    display.turn(60010)
    assert len(screen.shown) == 1


def test_a_screen_without_room_is_not_the_end():
    class Full(Screen):
        def show(self, label, value, new):
            Screen.show(self, label, value, new)
            raise MemoryError

    screen = Full()
    display = Display(Model({(1, 2): u8(1)}), (entry(label="a", seconds=1),), screen)
    display.turn(0)
    display.turn(1000)
    assert len(screen.shown) == 2


def test_ticks_wrap():
    screen = Screen()
    display = Display(Model({(1, 2): u8(1)}), (entry(label="a", seconds=1),) * 2, screen)
    now = 0x3FFFFFFF - 2500
    for _ in range(6):
        display.turn(now & 0x3FFFFFFF)
        now += 1000
    assert len(screen.shown) == 6


def test_a_terminal_gets_a_line_for_each_entry():
    lines = []
    model = Model({(1, 2): u32(1234)})
    list_ = (entry(label="1.8.0", unit="Wh", seconds=2),)
    display = Display(model, list_, Terminal(lines.append))
    for second in range(5):
        model.values[1, 2] = u32(1234 + second)
        display.turn(second * 1000)
    assert lines == [
        "display 1.8.0                     1234 Wh",
        "display 1.8.0                     1236 Wh",
        "display 1.8.0                     1238 Wh",
    ]


# --- The definition --------------------------------------------------------------------------


def test_entries_of_the_definition():
    made = entries(
        'object = "3/1.0.1.8.0/2", unit = "kWh", decimals = 2, digits = 6',
        'object = "3/1.0.32.7.0/2", seconds = 9, label = "U1"',
        'object = "3/1.0.13.7.0/2"',
        'object = "3/1.0.99.7.0/2"',
        'object = "8/0.0.1.0.0/2"',
        'object = "8/0.0.1.0.0/2", format = "date"',
        'object = "1/0.0.96.1.0/2"',
        'object = "1/0.0.97.97.0/2"',
    ).display
    assert [e[3:] for e in made] == [
        bytes((0, 125, 2, 6, 5, 5)) + b"1.8.0kWh",
        bytes((0, 127, 1, 0, 9, 2)) + b"U1V",
        bytes((0, 125, 3, 0, 5, 6)) + b"13.7.0",
        bytes((0, 130, 0, 0, 5, 6)) + b"99.7.0W",
        bytes((4, 128, 0, 0, 5, 5)) + b"1.0.0",
        bytes((3, 128, 0, 0, 5, 5)) + b"1.0.0",
        bytes((1, 128, 0, 0, 5, 6)) + b"96.1.0",
        bytes((0, 128, 0, 0, 5, 7)) + b"97.97.0",
    ]
    assert all(e[2] == 2 for e in made)


REGISTER = 'object = "3/1.0.1.8.0/2"'


@pytest.mark.parametrize(
    "line, says",
    [
        ('object = "3/1.0.1.8.9/2"', "expected an attribute of an object of device meter"),
        ('object = "3/1.0.1.8.0/9"', "expected an attribute of an object of device meter"),
        ('object = "1.0.1.8.0"', "expected such as"),
        (REGISTER + ', unit = "kW"', "unit kW; expected Wh, kWh or MWh"),
        (REGISTER + ', format = "time"', "format time of 3/1.0.1.8.0/2; expected one for"),
        (REGISTER + ", digits = 14, unit = 'kWh'", "more than 16 characters"),
        (REGISTER + ", seconds = 0", "seconds is 0; expected 1 to 255"),
        (REGISTER + ', label = "seventeen letters"', "at most 16 characters of ASCII"),
        (REGISTER + ", colour = 1", "unknown key colour"),
    ],
)
def test_a_mistake_is_said(line, says):
    with pytest.raises(TableError, match=re.escape(says)):
        entries(line)


def test_a_definition_without_a_list_has_none():
    assert "DISPLAY" not in show.module(packed(""))


# --- SSD1306 ----------------------------------------------------------------------------------


class FrameBuffer:
    """Of framebuf: a character is its code, eight times."""

    def __init__(self, buf, width, height, form):
        assert (width, height, form) == (128, 8, 0)
        self.buf = buf

    def fill(self, colour):
        for k in range(len(self.buf)):
            self.buf[k] = 0xFF if colour else 0

    def text(self, text, x, y):
        for k, c in enumerate(text):
            for column in range(8):
                self.buf[x + 8 * k + column] = ord(c)


class Panel:
    """The controller: its memory, page by page, and whether it is on."""

    def __init__(self):
        self.memory = [bytearray(b"\xee" * 128) for _ in range(8)]
        self.on = False
        self.there = True
        self.settings = b""
        self.window = None

    def write(self, data):
        if not self.there:
            return False
        data = bytes(data)
        if data[0] == 0x40:
            first, last, page = self.window
            assert last - first + 1 == len(data) - 1
            self.memory[page][first : last + 1] = data[1:]
        elif data[0] == 0 and data[1] == 0x21:
            assert data[4] == 0x22 and data[5] == data[6]
            self.window = data[2], data[3], data[5]
        elif data == b"\x00\xaf":
            self.on = True
        else:
            assert data[:2] == b"\x00\xae", "off while it is set up"
            self.settings = data[1:]
        return True


@pytest.fixture
def ssd1306(monkeypatch):
    fake = types.ModuleType("framebuf")
    fake.FrameBuffer, fake.MONO_VLSB = FrameBuffer, 0
    monkeypatch.setitem(sys.modules, "framebuf", fake)
    yield importlib.import_module("firmware.drivers.ssd1306")
    forget(("firmware.drivers.ssd1306",))


def lines():
    return bytearray(b"1.8.0".ljust(16)), bytearray(b"12.34 kWh".rjust(16))


def doubled(octet):
    bits = "".join(2 * b for b in "{:08b}".format(octet))
    return int(bits[8:], 2), int(bits[:8], 2)


def test_a_screen_is_cleared_before_it_is_switched_on(ssd1306):
    panel = Panel()
    ssd1306.SSD1306(panel)
    assert panel.on and all(page == bytes(128) for page in panel.memory)
    # Commands with their parameters: multiplex of 64, charge pump on, horizontal addressing.
    for wanted in ("a83f", "8d14", "2000", "da12", "a6"):
        assert bytes.fromhex(wanted) in panel.settings


def test_the_label_is_one_page_and_the_value_two(ssd1306):
    panel = Panel()
    screen = ssd1306.SSD1306(panel)
    label, value = lines()
    screen.show(label, value, True)
    assert panel.memory[0] == b"".join(bytes((c,)) * 8 for c in label)
    upper = b"".join(bytes((doubled(c)[0],)) * 8 for c in value)
    lower = b"".join(bytes((doubled(c)[1],)) * 8 for c in value)
    assert (panel.memory[4], panel.memory[5]) == (upper, lower)
    assert all(panel.memory[k] == bytes(128) for k in (1, 2, 3, 6, 7))


def test_only_the_value_is_written_when_only_it_changes(ssd1306):
    panel = Panel()
    screen = ssd1306.SSD1306(panel)
    label, value = lines()
    screen.show(label, value, True)
    panel.memory[0][:] = bytes(128)
    value[5:7] = b"77"
    screen.show(label, value, False)
    assert panel.memory[0] == bytes(128)
    assert panel.memory[4][40] == doubled(ord("7"))[0]


def test_a_display_that_comes_late_or_again_is_begun_anew(ssd1306):
    panel = Panel()
    panel.there = False
    screen = ssd1306.SSD1306(panel)
    label, value = lines()
    screen.show(label, value, True)
    assert not panel.on
    panel.there = True
    screen.show(label, value, False)
    assert panel.on and panel.memory[0][0] == ord("1")
    panel.there = False
    screen.show(label, value, False)
    panel.__init__()
    screen.show(label, value, False)
    assert panel.on and panel.memory[0][0] == ord("1")


# --- In a meter -------------------------------------------------------------------------------


def fittings_of(monkeypatch, pins):
    from firmware.meter import fittings

    monkeypatch.setattr(fittings, "pins_of", lambda: pins)
    definition = types.SimpleNamespace(DISPLAY=(entry(),))
    return fittings.Fittings(definition, bytearray(64), types.SimpleNamespace(out=print))


def test_on_a_pc_it_is_a_terminal(monkeypatch, capsys):
    fitted = fittings_of(monkeypatch, None)
    fitted.show(Model({(1, 2): u8(7)}), "terminal")
    fitted.outputs[0].turn(0)
    assert capsys.readouterr().out == "display x                               7\n"
    with pytest.raises(ValueError, match="no display ssd1306 here"):
        fitted.show(None, "ssd1306")


def test_on_a_board_it_has_the_pins_of_the_wiring(monkeypatch, ssd1306):
    machine = Machine()
    wiring = types.ModuleType("wiring")
    wiring.__dict__.update(DISPLAY_I2C=(1, 3, 2), DISPLAY_ADDRESS=0x3C, BUTTON=14)
    monkeypatch.setitem(sys.modules, "machine", machine)
    monkeypatch.setitem(sys.modules, "wiring", wiring)
    pins = importlib.import_module("firmware.ports.pins")
    forget(("firmware.ports.pins",))
    fitted = fittings_of(monkeypatch, pins)
    fitted.show(Model({(1, 2): u8(7)}), "ssd1306")
    assert {address for address, _data in machine.written} == {0x3C}
    (display,) = fitted.outputs
    machine.pins[14] = 1
    display.turn(0)
    machine.pins[14] = 0
    display.turn(50)
    assert display.at == 0 and display.wait_ms(50) == 50
    machine.I2C.absent = True
    display.turn(6000)


def test_a_definition_without_a_list_is_said(monkeypatch):
    from firmware.meter import fittings

    monkeypatch.setattr(fittings, "pins_of", lambda: None)
    fitted = fittings.Fittings(types.SimpleNamespace(), bytearray(64), None)
    with pytest.raises(ValueError, match=r"no list \[display\]"):
        fitted.show(None, "terminal")


def test_on_micropython_it_draws_with_framebuf_and_a_turn_takes_no_heap(micropython):
    paths = [os.path.join(ROOT, p) for p in ("host_tests", "host_tests/device", "lib", "")]
    out = subprocess.run(
        [micropython, os.path.join(ROOT, "host_tests/device/shown.py")],
        env={"MICROPYPATH": ":".join(paths)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert out.stdout.splitlines() == [
        "|...##...........|",
        "|...##...........|",
        "|..###...........|",
        "|...##...........|",
        "|...##...........|",
        "|...##......##...|",
        "|.######....##...|",
        "|................|",
        "      1234.5 kWh",
    ], out.stderr
