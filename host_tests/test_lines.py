# SPDX-License-Identifier: MIT
"""Serial lines of the runtimes: terminals of this machine; machine.UART and USB over fakes."""

import os
import pty
import select
import sys
import termios
import types

import pytest
import serial
from firmware.links import make
from firmware.ports import cpython as port
from firmware.ports.lines import cpython, micropython


@pytest.fixture
def opened(serial_line):
    """As the meter opens it."""
    with cpython.open_tty(serial_line[1], 300) as stream:
        yield stream, serial_line[0]


def read(stream, n):
    """The next n octets, which may take a moment to cross."""
    found = bytearray()
    while len(found) < n and select.select([stream], [], [], 5)[0]:
        buf = bytearray(n - len(found))
        found += buf[: port.readinto(stream, buf)]
    return bytes(found)


def test_octets_of_a_serial_port(opened):
    """Nothing waits: neither for octets, nor for room."""
    stream, master = opened
    assert port.readinto(stream, bytearray(4)) == 0
    os.write(master, b"\0\x11\x13\xff\n")
    assert read(stream, 5) == b"\0\x11\x13\xff\n"
    assert port.readinto(stream, bytearray(4)) == 0
    taken = [1]
    while taken[-1]:
        taken.append(port.write(stream, bytes(100000), 0, 100000))
    assert 1 < max(taken) < 100000, "a full pipe"
    port.close(stream)
    assert not stream.line.is_open


def test_what_has_not_left(opened, monkeypatch):
    """A pseudo-terminal never says so."""
    stream = opened[0]
    assert not cpython.is_sending(stream)
    monkeypatch.setattr(serial.Serial, "out_waiting", 3)
    assert cpython.is_sending(stream)


def test_the_other_end_goes():
    master, slave = pty.openpty()
    stream = cpython.open_tty(os.ttyname(slave), 300)
    os.close(master)
    assert port.readinto(stream, bytearray(4)) < 0
    stream.close()
    os.close(slave)


@pytest.mark.parametrize("baud", [300, 600, 1200, 2400, 4800, 9600, 19200, 115200])
def test_the_rate_of_a_serial_port(opened, baud):
    """It changes in mid-session; what is on its way stays."""
    stream, master = opened
    os.write(master, b"A")
    cpython.set_rate(stream, baud)
    assert termios.tcgetattr(master)[4:6] == [getattr(termios, "B%d" % baud)] * 2
    os.write(master, b"B")
    assert read(stream, 2) == b"AB"


def test_a_rate_that_no_serial_port_has(opened):
    with pytest.raises(OSError, match="-1 is no baud rate"):
        cpython.set_rate(opened[0], -1)


@pytest.mark.parametrize("baud, even", [(2400, True), (0, False)])
def test_parity_and_the_rate_at_the_start(serial_line, baud, even):
    with cpython.open_tty(serial_line[1], baud, even) as stream:
        assert stream.line.baudrate == (baud or 9600)
        assert stream.line.parity == ("E" if even else "N") and stream.line.bytesize == 8


def test_nobody_else_opens_it(serial_line):
    with cpython.open_tty(serial_line[1], 300):
        with pytest.raises(OSError, match="cannot be used as a serial port .*lock"):
            cpython.open_tty(serial_line[1], 300)
    cpython.open_tty(serial_line[1], 300).close()


@pytest.mark.parametrize("what", ["file", "nothing"])
def test_what_is_no_serial_port(tmp_path, what):
    if what == "file":
        (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OSError, match="cannot be used as a serial port"):
        cpython.open_tty(str(tmp_path / what), 300)


def test_rs_485_is_switched_by_the_driver(serial_line, monkeypatch):
    """pyserial asks the system's driver, which a pseudo-terminal does not have."""
    with pytest.raises(OSError, match="cannot switch an RS-485 transceiver"):
        cpython.open_tty(serial_line[1], 9600, rs485=True)
    set_to = []
    monkeypatch.setattr(serial.Serial, "_set_rs485_mode", lambda self, mode: set_to.append(mode))
    with cpython.open_tty(serial_line[1], 9600, rs485=True):
        assert set_to[-1].rts_level_for_tx and not set_to[-1].rts_level_for_rx


def test_a_pseudo_terminal_has_nothing_of_all_that(tmp_path):
    with open(tmp_path / "file", "w+b", buffering=0) as stream:
        assert cpython.overruns(stream) == 0


def test_overruns_of_a_serial_port_since_it_was_asked_last(serial_line, monkeypatch):
    """Linux counts those of the hardware and those of its buffer."""
    counts = [[3, 1], [3, 1], [5, 2]]

    def ioctl(stream, request, data):
        assert request == 0x545D
        overrun, buf_overrun = counts.pop(0)
        values = [0] * 20
        values[7], values[10] = overrun, buf_overrun
        return cpython._ICOUNT.pack(*values)

    monkeypatch.setattr(cpython, "fcntl", types.SimpleNamespace(ioctl=ioctl))
    with cpython.open_tty(serial_line[1], 300) as stream:
        assert [cpython.overruns(stream) for _ in range(2)] == [0, 3]


# --- MicroPython ----------------------------------------------------------------------------


class UART:
    def __init__(self, *args, **kwargs):
        self.calls = [(args, kwargs)]
        self.waiting = 0
        self.done = True

    def init(self, *args, **kwargs):
        self.calls.append((args, kwargs))

    def any(self):
        return self.waiting

    def txdone(self):
        return self.done


class Pin:
    OUT = "out"

    def __init__(self, number, mode=None, value=None):
        self.number, self.levels = number, [value]

    def __call__(self, level):
        self.levels.append(level)


@pytest.fixture
def machine(monkeypatch):
    module = types.ModuleType("machine")
    module.UART, module.Pin = UART, Pin
    wiring = types.ModuleType("wiring")
    wiring.UARTS = ((0, 0, 1, None), (1, 4, 5, 6))
    monkeypatch.setitem(sys.modules, "machine", module)
    monkeypatch.setitem(sys.modules, "wiring", wiring)
    return module


def test_a_uart_has_a_wide_buffer_and_changes_its_rate(machine):
    uart = micropython.open_uart(1, 300)
    micropython.set_rate(uart, 9600)
    assert uart.calls[0][0] == (1, 300)
    assert uart.calls[1:] == [((300,), {"rxbuf": 512}), ((9600,), {})]


def test_a_uart_whose_buffer_has_one_size(machine, monkeypatch):
    def refuse(self, *args, **kwargs):
        raise TypeError

    monkeypatch.setattr(UART, "init", refuse)
    assert micropython.open_uart(0, 300).calls[0][0] == (0, 300)


def test_what_a_uart_says(machine):
    uart = micropython.open_uart(0, 300)
    assert not micropython.is_sending(uart)
    uart.done = False
    assert micropython.is_sending(uart)
    assert micropython.overruns(uart) == 0
    uart.waiting = 511
    assert micropython.overruns(uart) == 1


def test_the_driver_pin_of_the_wiring(machine):
    assert micropython.driver(0) is None
    pin = micropython.driver(1)
    pin.set(True)
    pin.set(False)
    assert pin._pin.number == 6 and pin._pin.levels == [0, 1, 0]


def test_a_terminal_of_the_unix_port_has_nothing_of_all_that():
    stream = object()
    micropython.set_rate(stream, 9600)
    assert not micropython.is_sending(stream) and micropython.overruns(stream) == 0


def test_usb_of_an_stm32(monkeypatch):
    pyb = types.ModuleType("pyb")
    pyb.USB_VCP = lambda n: "VCP %d" % n
    monkeypatch.setitem(sys.modules, "pyb", pyb)
    assert micropython.open_usb() == "VCP 1"


def test_usb_that_boot_has_made(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyb", None)
    usb, device = types.ModuleType("usb"), types.ModuleType("usb.device")
    usb.device = device
    monkeypatch.setitem(sys.modules, "usb", usb)
    assert micropython.open_usb() is None
    device.meter = "CDC"
    assert micropython.open_usb() == "CDC"


def test_no_usb(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyb", None)
    monkeypatch.setitem(sys.modules, "usb", None)
    assert micropython.open_usb() is None
    with pytest.raises(ValueError, match="no second USB"):
        make._hdlc_usb(["hdlc-usb", "USB", 0], None, None, False, 128)
