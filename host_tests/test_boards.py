# SPDX-License-Identifier: MIT
"""The folders in boards/: constants, board.json, manifest and page, and whether pins can do that.

What the pins of a chip can do is from the datasheets: RP2040 table 2 (functions of GPIO), ESP32
and ESP32-S3 on strapping pins and those of the flash; of the pyboard from its pins.csv, and of
CircuitPython boards from the stubs.
"""

import ast
import json
import os
import re

import bootstrap
import board_pages
import images
import pytest
from circuitpython_fakes import stubs as reading

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BOARDS = images.boards()
BARE = ("MPS2_AN385", "UNIX")  # no pins
WIRED = [b for b in BOARDS if b not in BARE]
WANTED = {
    "ADAFRUIT_FEATHER_RP2040", "ESP32_GENERIC", "ESP32_GENERIC_S3", "MPS2_AN385", "PYBV11",
    "RPI_PICO", "RPI_PICO2_W", "RPI_PICO_W", "UNIX",
}  # fmt: skip

ALL = {"PORT", "LINKS", "STATE"}
PINS = ALL | {
    "UARTS", "OPTICAL_UART", "RS485_UART", "PLC_UART", "PLC_RESET", "PLC_T_REQ", "ENERGY_SPI",
    "ENERGY_CS", "ENERGY_IRQ", "RELAY", "PULSE_LED", "BUTTON", "DISPLAY_I2C", "DISPLAY_ADDRESS",
    "DISPLAY", "TCP_PORT",
    "PROVISIONING",
}  # fmt: skip
CIRCUITPYTHON = {"DRIVE_BUTTON"}
# What a board may have, or not name.
OPTIONAL = {"POWER_FAIL", "TERMINAL_COVER", "METER_COVER", "MAGNET"}
UPDATES = {"UPDATE", "SLOTS"}

# As tools/autobuild and micropython.org's download pages read them.
JSON_KEYS = {
    "deploy", "docs", "features", "images", "mcu", "product", "thumbnail", "url", "vendor",
}  # fmt: skip
JSON_MAY = {"deploy_options", "id", "variants"}
FEATURES = {
    "Audio Codec", "BLE", "Battery Charging", "CAN", "Camera", "Display", "Dual-core", "Ethernet",
    "External Flash", "External RAM", "Feather", "IMU", "JST-PH", "JST-SH", "LoRa", "Microphone",
    "PoE", "RGB LED", "SDCard", "Secure Element", "STEMMA QT/QWIIC", "USB", "USB-C", "WiFi",
    "microSD", "mikroBUS",
}  # fmt: skip


def read(board, name):
    with open(os.path.join(ROOT, "boards", board, name), encoding="utf-8") as f:
        return f.read()


def pins(wiring):
    """(name of the constant, pin) of every pin that is used."""
    found = []
    for number, tx, rx, enable in wiring["UARTS"]:
        for pin in (tx, rx, enable):
            found.append(("UART %d" % number, pin))
    found += [("ENERGY_SPI", p) for p in wiring["ENERGY_SPI"][1:]]
    found += [("DISPLAY_I2C", p) for p in wiring["DISPLAY_I2C"][1:]]
    single = ("PLC_RESET", "PLC_T_REQ", "ENERGY_CS", "ENERGY_IRQ", "RELAY", "PULSE_LED", "BUTTON")
    for name in single:
        found.append((name, wiring[name]))
    found += [(name, wiring.get(name)) for name in sorted(OPTIONAL)]
    return [(name, pin) for name, pin in found if pin is not None]


def test_the_boards_that_there_should_be():
    assert set(BOARDS) >= WANTED


@pytest.mark.parametrize("board", BOARDS)
def test_a_folder_is_complete(board):
    names = set(os.listdir(os.path.join(ROOT, "boards", board)))
    assert names >= {"wiring.py", "board.json", "manifest.py", "README.md"}
    assert "[page](%s/README.md)" % board in open(os.path.join(ROOT, "boards/README.md")).read()


# --- wiring.py ------------------------------------------------------------------------------


@pytest.mark.parametrize("board", BOARDS)
def test_wiring_has_constants_only_and_a_header(board):
    tree = ast.parse(read(board, "wiring.py"))
    assert re.search(r"^Connect: \S+", ast.get_docstring(tree), re.M)
    for node in tree.body[1:]:
        assert isinstance(node, ast.Assign) and ast.literal_eval(node.value) is not Ellipsis


@pytest.mark.parametrize("board", BOARDS)
def test_all_boards_have_the_same_names(board):
    wiring = images.wiring(board)
    wanted = set(ALL if board in BARE else PINS)
    if wiring["PORT"] == "circuitpython":
        wanted |= CIRCUITPYTHON
    assert set(wiring) - OPTIONAL - UPDATES == wanted


@pytest.mark.parametrize("board", WIRED)
def test_what_the_constants_say_fits_together(board):
    w = images.wiring(board)
    uarts = [u[0] for u in w["UARTS"]]
    assert len(set(uarts)) == len(uarts)
    assert {w["OPTICAL_UART"], w["RS485_UART"], w["PLC_UART"]} == set(uarts)
    assert w["OPTICAL_UART"] not in (w["RS485_UART"], w["PLC_UART"])
    assert dict((u[0], u[3]) for u in w["UARTS"])[w["RS485_UART"]] is not None
    assert ("hdlc-uart", w["OPTICAL_UART"], 9600) in w["LINKS"]
    for kind, number, baud in w["LINKS"]:
        assert kind == "hdlc-uart" and number in uarts and baud in (300, 9600, 19200, 115200)
    assert w["STATE"] is None or re.fullmatch(r"/[a-z/]+[a-z]", w["STATE"])
    assert w["TCP_PORT"] in (None, 4059)
    features = json.loads(read(board, "board.json"))["features"]
    assert (w["TCP_PORT"] is not None) == ("WiFi" in features)
    assert 8 <= w["DISPLAY_ADDRESS"] < 0x78


@pytest.mark.parametrize("board", WIRED)
def test_no_pin_is_used_twice(board):
    used = {}
    for name, pin in pins(images.wiring(board)):
        assert pin not in used, "%s is used for %s and %s" % (pin, used.get(pin), name)
        used[pin] = name


@pytest.mark.parametrize("board", WIRED)
def test_header_and_page_name_every_pin(board):
    header = ast.get_docstring(ast.parse(read(board, "wiring.py")))
    page = read(board, "README.md").partition("## Wiring")[2].partition("## Memory")[0]
    for name, pin in pins(images.wiring(board)):
        # A button or a LED of the board's own goes by its name.
        if name in ("BUTTON", "PULSE_LED") and "on the board" in page:
            continue
        pattern = r"\b%s\b" % re.escape(pin if isinstance(pin, str) else "GPIO%d" % pin)
        assert re.search(pattern, header), "%s %s is not in wiring.py's header" % (name, pin)
        assert re.search(pattern, page), "%s %s is not on the page" % (name, pin)


def test_unix_links_are_those_that_the_launcher_opens():
    import meter

    links = [(kind, number) for kind, _host, number in images.wiring("UNIX")["LINKS"]]
    assert links == [tuple(link) for link in meter.DEFAULT_LINKS]


# --- What pins can do -----------------------------------------------------------------------

# RP2040 and RP2350: which GPIO can be what (every bus has its pins in steps).
RP2_TX = {0: {0, 12, 16, 28}, 1: {4, 8, 20, 24}}
RP2_SPI = {0: ({2, 6, 18, 22}, {3, 7, 19, 23}, {0, 4, 16, 20}),
           1: ({10, 14, 26}, {11, 15, 27}, {8, 12, 24, 28})}  # fmt: skip


@pytest.mark.parametrize("board", ["RPI_PICO", "RPI_PICO_W", "RPI_PICO2_W"])
def test_pins_of_the_rp2(board):
    w = images.wiring(board)
    for number, tx, rx, _ in w["UARTS"]:
        assert tx in RP2_TX[number] and rx - 1 in RP2_TX[number]
    bus, *lines = w["ENERGY_SPI"]
    assert all(pin in can for pin, can in zip(lines, RP2_SPI[bus]))
    bus, scl, sda = w["DISPLAY_I2C"]
    assert sda % 4 == 2 * bus and scl == sda + 1
    # 23, 24, 25 and 29 are the board's own.
    assert all(pin <= 22 or 26 <= pin <= 28 for _, pin in pins(w))


def test_pins_of_the_feather():
    """GPIO numbers of the names: TX 0, RX 1, D24 24, D25 25 (Adafruit's pinout)."""
    uarts = {u[0]: u[1:3] for u in images.wiring("ADAFRUIT_FEATHER_RP2040")["UARTS"]}
    assert uarts == {0: ("TX", "RX"), 1: ("D24", "D25")}
    assert 0 in RP2_TX[0] and 24 in RP2_TX[1]


def test_names_of_the_feather_are_those_of_circuitpython(stubs):
    api, _ = reading.board(stubs, "adafruit_feather_rp2040")
    wiring = images.wiring("ADAFRUIT_FEATHER_RP2040")
    assert {pin for _, pin in pins(wiring)} | {wiring["DRIVE_BUTTON"]} <= set(api.members)


def test_pins_of_the_esp32():
    w = images.wiring("ESP32_GENERIC")
    flash, repl, strapping = set(range(6, 12)), {1, 3}, {0, 2, 5, 12, 15}
    for name, pin in pins(w):
        assert pin in {*range(24), *range(25, 28), 32, 33, *range(34, 40)} - {20}
        assert pin not in flash | repl
        assert pin not in strapping or name == "BUTTON"
        assert pin < 34 or name == "ENERGY_IRQ", "an input only"


def test_pins_of_the_esp32_s3():
    w = images.wiring("ESP32_GENERIC_S3")
    taken = set(range(22, 38)) | {19, 20, 43, 44}
    for name, pin in pins(w):
        assert 0 <= pin <= 48 and pin not in taken | {3, 45, 46}
        assert pin != 0 or name == "BUTTON"


def test_pins_of_the_pyboard():
    names = {"X%d" % n for n in (*range(1, 13), *range(17, 23))}
    names |= {"Y%d" % n for n in range(1, 13)}
    w = images.wiring("PYBV11")
    fixed = {6: ("Y1", "Y2"), 2: ("X3", "X4"), 4: ("X1", "X2")}
    assert {u[0] for u in w["UARTS"]} == set(fixed) and all(u[1] is None for u in w["UARTS"])
    used = [pin for _, pin in pins(w)]
    assert set(used) <= names
    for number, lines in fixed.items():
        assert not set(lines) & set(used), "UART %d has these" % number
    assert w["ENERGY_SPI"] == (2, "Y6", "Y8", "Y7") and w["ENERGY_CS"] == "Y5"
    assert w["DISPLAY_I2C"] == (1, "X9", "X10")


# --- board.json -----------------------------------------------------------------------------


@pytest.mark.parametrize("board", BOARDS)
def test_board_json_has_micropythons_keys(board):
    found = json.loads(read(board, "board.json"))
    assert JSON_KEYS <= set(found) <= JSON_KEYS | JSON_MAY
    assert set(found["features"]) <= FEATURES
    assert found["features"] == sorted(found["features"])
    assert isinstance(found["deploy"], list) and isinstance(found["images"], list)
    for key in ("mcu", "product", "vendor"):
        assert found[key] and isinstance(found[key], str)
    assert found["url"].startswith("https://")


# --- manifest.py ----------------------------------------------------------------------------

# What manifests may call, and what of micropython-lib the boards may ask for.
CALLS = {"include", "module", "package", "freeze", "require", "metadata", "add_library"}
REQUIRED = {"ntptime"}


def manifest(board, path="manifest.py"):
    """(calls in order, as (name, first argument)) of a manifest; it must be one that runs."""
    calls = []

    def record(name):
        def call(*args, **kwargs):
            calls.append((name, os.path.join(kwargs.get("base_path", ""), args[0])))

        return call

    place = os.path.join(ROOT, "boards", board)
    text = read(board, path)
    exec(compile(text, path, "exec"), {name: record(name) for name in CALLS})
    for name, what in calls:
        if name == "include" and "$" not in what:
            assert os.path.exists(os.path.join(place, what))
        if name == "module":
            assert os.path.exists(os.path.join(place, what))
    return calls


@pytest.mark.parametrize("board", ["RPI_PICO", "RPI_PICO_W", "RPI_PICO2_W"])
def test_an_image_starts_the_meter(board):
    assert ("module", "../main.py") in manifest(board)


@pytest.mark.parametrize("board", ["RPI_PICO_W", "RPI_PICO2_W", "ESP32_GENERIC", "PYBV11"])
def test_what_to_do_where_packages_do_not_give_an_image(board):
    with pytest.raises(bootstrap.Trouble, match="no package .* make deploy BOARD=%s " % board):
        images.port_of(board)


def test_boards_whose_image_can_be_built():
    assert images.port_of("RPI_PICO").IMAGE == "firmware.uf2"
    assert images.port_of("MPS2_AN385").IMAGE == "firmware.elf"


@pytest.mark.parametrize("board", BOARDS)
def test_manifest(board):
    calls = manifest(board)
    assert ("include", "../manifest.py") in calls and ("module", "wiring.py") in calls
    needed = {what for name, what in calls if name == "require"}
    assert needed <= REQUIRED
    if board in WIRED and images.wiring(board)["PORT"] != "circuitpython":
        assert ("ntptime" in needed) == (images.wiring(board)["TCP_PORT"] is not None)


def test_the_common_manifest_freezes_the_stack_for_micropython_only(monkeypatch):
    monkeypatch.chdir(os.path.join(ROOT, "boards"))
    frozen = []
    names = {"module": lambda path, **kwargs: frozen.append(path)}
    with open("manifest.py") as f:
        exec(compile(f.read(), "manifest.py", "exec"), names)
    for name in ("dlms/server.py", "cosem/clock.py", "profiles/hdlc.py", "firmware/board_main.py",
                 "firmware/ports/board.py", "definition.py"):  # fmt: skip
        assert name in frozen
    others = ("cpython", "circuitpython", "shim")
    assert not [name for name in frozen if any(word in name for word in others)]
    assert len(set(frozen)) == len(frozen)


# --- Pages ----------------------------------------------------------------------------------

SECTIONS = ["## Start", "## Wiring", "## Memory", "## Good to know"]
WIRED_TO = (
    "optical head", "RS-485", "PLC modem", "energy chip", "relay", "pulse LED", "display",
)  # fmt: skip


@pytest.mark.parametrize("board", BOARDS)
def test_page(board):
    page = read(board, "README.md")
    assert page.startswith("# %s: " % board)
    sections = re.findall(r"^## .*", page, re.M)
    if board == "MPS2_AN385":
        assert {"## Wiring", "## Memory"} <= set(sections)
        return
    assert sections == SECTIONS
    table = page.partition("## Wiring")[2].partition("## Memory")[0]
    for what in WIRED_TO:
        assert what in table
    memory = page.partition("## Memory")[2].partition("## Good")[0]
    assert board_pages.BEGIN in memory and board_pages.END in memory
    assert "| what | where | octets |" in memory, "make sizes fills it"
    for row in re.findall(r"^\| [^|]+ \| [^|]+ \| ([^|]+) \|$", memory, re.M)[2:]:
        assert re.fullmatch(r"[\d,]+", row)


@pytest.mark.parametrize("board", WIRED)
def test_a_page_has_a_drawing(board):
    wiring = read(board, "README.md").partition("## Wiring")[2]
    assert "+-----" in wiring.partition("```")[2].partition("```")[0]


def test_filling_a_page_keeps_the_rest(tmp_path):
    path = tmp_path / "README.md"
    path.write_text("a\n%s\nold\n%s\nb\n" % (board_pages.BEGIN, board_pages.END))
    assert board_pages.fill(str(path), "| new |")
    assert not board_pages.fill(str(path), "| new |")
    assert path.read_text() == "a\n%s\n| new |\n%s\nb\n" % (board_pages.BEGIN, board_pages.END)
    path.write_text("a\n%s\n" % board_pages.BEGIN)
    with pytest.raises(bootstrap.Trouble):
        board_pages.fill(str(path), "x")


# --- The port of boards ---------------------------------------------------------------------


def test_uarts_get_the_pins_of_the_wiring(monkeypatch):
    """firmware/ports/board.py over a machine module that notes what it is asked for."""
    import sys
    import types

    from firmware.ports import board

    made = []
    machine = types.ModuleType("machine")
    machine.Pin = lambda n: "pin %s" % n
    machine.UART = lambda *args, **kwargs: made.append((args, kwargs))
    monkeypatch.setitem(sys.modules, "machine", machine)
    for name in ("ESP32_GENERIC", "PYBV11", "MPS2_AN385"):
        wiring = types.ModuleType("wiring")
        wiring.__dict__.update(images.wiring(name))
        monkeypatch.setitem(sys.modules, "wiring", wiring)
        for _kind, number, baud in wiring.LINKS:
            board.uart(number, baud)
    assert made == [
        ((2, 9600), {"tx": "pin 17", "rx": "pin 16", "timeout": 0}),
        ((6, 9600), {"timeout": 0}),
        ((1, 9600), {"timeout": 0}),
    ]


def test_a_read_that_fails_is_counted_and_not_the_end():
    from firmware.ports import board

    class UART:
        def readinto(self, buf):
            raise OSError(5)

    before = board.errors
    assert board.readinto(UART(), bytearray(8)) == 0
    assert board.errors == before + 1
