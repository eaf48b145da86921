# SPDX-License-Identifier: MIT
"""The drivers of modems allocate nothing: what they have heard from their doubles on CPython they
hear again on MicroPython with the heap locked, faults and all, and do the same.
"""

import pathlib
import subprocess

import pytest
from device import modems
from doubles import amis49587, g3_adp, prime_node, st7580

ROOT = pathlib.Path(__file__).parent.parent
DOUBLES = {
    "amis49587": amis49587.Double,
    "st7580": st7580.Double,
    "prime_node": prime_node.Double,
    "g3_adp": g3_adp.Double,
}
FAULTS = ("garbage", "full", "confirm_twice", "late_confirm", "cut", "reset_in_frame", "silence")


class UART:
    """Writes down what passes."""

    def __init__(self, uart, log):
        self.uart, self.log = uart, log
        self.n = self.sum = 0

    def any(self):
        return self.uart.any()

    def readinto(self, buf):
        n = self.uart.readinto(buf) or 0
        self.log.append("read %s" % (bytes(buf[:n]).hex() or "-"))
        return n

    def write(self, buf, pos, n):
        self.n += n
        self.sum = self.sum + sum(buf[pos : pos + n]) & 0xFFFFFF
        return self.uart.write(buf, pos, n)


def conversation(name):
    log = ["modem " + name]
    double = DOUBLES[name]()
    uart = UART(double.uart, log)

    # driver() of the device has pins of its own; here they are the double's.
    modem = modems.driver(name, uart)
    modem.reset_pin = double.reset
    if hasattr(modem, "t_req"):
        modem.t_req = double.t_req
    ticks = 0x3FFFFF00
    passed = 0
    log.append("open %d" % ticks)
    modem.open(ticks)

    def run(ms, step=5):
        nonlocal ticks, passed
        for _ in range(0, ms, step):
            ticks = ticks + step & 0x3FFFFFFF
            passed += step
            double.turn(passed)
            event = 1
            while event:
                event = modem.poll(ticks)
                log.append("poll %d %d" % (ticks, event))

    def up():
        for _ in range(300):
            if name == "amis49587" and double.config and not double.synchronized:
                double.synchronize(0xC00, 5)
            run(500)
            if modem.is_up:
                return
        raise AssertionError("never up")

    def send(n):
        data = bytes(k & 0xFF for k in range(n))
        args = (0xC00 if name == "amis49587" else 0, 0)
        result = modem.send(data, 0, n, *args)
        log.append("send %s %d %d %d" % (data.hex(), *args, result))

    def hear(n):
        data = bytes(k * 7 & 0xFF for k in range(n))
        if name == "amis49587":
            double.hear(0xC00, 5, data)
        elif name == "prime_node":
            double.hear(1, 0x10, data)
        else:
            double.hear(data)

    up()
    for n in (1, 100, min(modem.max_data, 1000)):
        send(n)
        hear(n)
        run(1500)
    if hasattr(modem, "read"):
        for attribute in (0x0F, 0x40, 0x50, 0xA0):
            log.append("value %d %d" % (attribute, modem.read(attribute)))
            run(1200)
    else:
        run(11000)  # it is asked how it is
    for fault in FAULTS:
        double.faults = {fault: 1}
        send(50)
        run(5000)
        run(35000, 50)
        up()
        hear(50)
        run(500)
    log.append("wrote %d %d" % (uart.n, uart.sum))
    return log


@pytest.mark.parametrize("name", DOUBLES)
def test_no_poll_and_no_send_allocates(name, micropython, tmp_path):
    log = conversation(name)
    said = [line.split()[2] for line in log if line.startswith("poll")]
    assert {"1", "3", "4", "5"} <= set(said), "UP, DATA, CONFIRM and FAULT have come"
    (tmp_path / "log").write_text("\n".join(log) + "\n")
    script = ROOT / "host_tests" / "device" / "modems.py"
    done = subprocess.run(
        [micropython, "-X", "heapsize=16M", str(script), str(ROOT / "lib"), str(tmp_path / "log")],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.stdout.splitlines() == ["%d polls" % len(said)], done.stdout + done.stderr
