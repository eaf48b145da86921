# SPDX-License-Identifier: MIT
"""Serial lines of the runtimes: terminals of this machine; machine.UART and USB over fakes."""

import os
import pty
import sys
import termios
import tty
import types

import pytest
from firmware.links import make
from firmware.ports.lines import cpython, micropython


@pytest.fixture
def terminal():
    master, slave = pty.openpty()
    tty.setraw(slave)
    with open(os.ttyname(slave), "r+b", buffering=0) as stream:
        yield stream, master
    os.close(master)
    os.close(slave)


@pytest.mark.parametrize("baud", [300, 600, 1200, 2400, 4800, 9600, 19200, 115200])
def test_the_rate_of_a_terminal(terminal, baud):
    stream, master = terminal
    cpython.set_rate(stream, baud)
    assert termios.tcgetattr(master)[4:6] == [getattr(termios, "B%d" % baud)] * 2


def test_a_rate_that_no_terminal_has(terminal):
    with pytest.raises(OSError, match="1234 is no baud rate"):
        cpython.set_rate(terminal[0], 1234)


def test_what_is_no_terminal(tmp_path):
    with open(tmp_path / "file", "w+b", buffering=0) as stream:
        with pytest.raises(OSError):
            cpython.set_rate(stream, 300)
        assert not cpython.is_sending(stream) and cpython.overruns(stream) == 0


def test_overruns_of_a_serial_port_since_it_was_asked_last(terminal, monkeypatch):
    """Linux counts those of the hardware and those of its buffer."""
    counts = [[3, 1], [3, 1], [5, 2]]

    def ioctl(stream, request, data):
        assert request == 0x545D
        overrun, buf_overrun = counts.pop(0)
        values = [0] * 20
        values[7], values[10] = overrun, buf_overrun
        return cpython._ICOUNT.pack(*values)

    monkeypatch.setattr(cpython.fcntl, "ioctl", ioctl)
    monkeypatch.setattr(cpython, "_seen", {})
    assert [cpython.overruns(terminal[0]) for _ in range(3)] == [0, 0, 3]


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
