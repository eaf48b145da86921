# SPDX-License-Identifier: MIT
"""The drivers of modems allocate nothing: what they have heard from their doubles on CPython they
hear again on MicroPython with the heap locked, faults and all, and do the same.
"""

import pathlib
import subprocess

import pytest
import small
from device import modems
from doubles import amis49587, g3_adp, prime_node, st7580
from doubles.meters import G3Meter, PRIMEMeter, action, get, set_

ROOT = pathlib.Path(__file__).parent.parent
AARQ = small.aarq(b"12345678")
KINDS = (bytes, tuple, list, int)
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


class Recorded:
    """A station whose polls are written down."""

    def __init__(self, station, log):
        self.station, self.log = station, log

    def __getattr__(self, name):
        return getattr(self.station, name)

    def poll(self, now_ms):
        event = self.station.poll(now_ms)
        self.log.append("poll %d %d" % (now_ms, event))
        return event


def a_meter(profile):
    """A meter on PRIME or G3: associations, blocks, what is set, a reset, values of the modem."""
    meter = PRIMEMeter(step_ms=20) if profile == "prime" else G3Meter(step_ms=20)
    log = ["modem " + ("prime_node" if profile == "prime" else "g3_adp"), "station " + profile]
    uart = meter.modem.usi.uart = UART(meter.modem.usi.uart, log)
    meter.station = Recorded(meter.station, log)
    log.append("open %d" % meter.now())
    meter.up().run(25000)
    assert meter.ask(AARQ).startswith("61")
    n = 28 if profile == "prime" else 29
    class_id = 82 if profile == "prime" else 91
    attribute = 6 if profile == "prime" else 8
    obis = "0.0.%d.%d.0" % (n, 2 if profile == "prime" else 1)
    for apdu in (
        get(3, "1.0.1.8.0", 2),
        get(15, "0.0.40.0.2", 2),
        set_(class_id, obis, attribute, b"\x11\x09"),
        get(class_id, obis, attribute),
        get(84, "0.0.28.4.0", 2) if profile == "prime" else get(92, "0.0.29.2.0", 8),
        action(84, "0.0.28.4.0", 1) if profile == "prime" else action(90, "0.0.29.0.0", 1),
    ):
        assert meter.ask(apdu)[:2] in ("C4", "C5", "C7")
        meter.run(300)
    meter.double.faults["reset_in_frame"] = 1
    meter.say(get(3, "1.0.1.8.0", 2))
    meter.run(80000).up()
    assert meter.ask(bytes.fromhex("6203800100")).startswith("63")
    log.append("wrote %d %d" % (uart.n, uart.sum))
    return log


@pytest.mark.parametrize("profile", ["prime", "g3"])
def test_nothing_allocates_between_request_and_answer(profile, micropython, tmp_path):
    log = a_meter(profile)
    n = sum(line.startswith("poll") for line in log)
    (tmp_path / "log").write_text("\n".join(log) + "\n")
    packed = small.packed(small.HERE / "definitions" / (profile + ".toml"))
    (tmp_path / "definition.py").write_text(
        "".join("%s = %r\n" % (k, v) for k, v in packed.items() if isinstance(v, KINDS))
    )
    script = ROOT / "host_tests" / "device" / "modems.py"
    done = subprocess.run(
        [micropython, "-X", "heapsize=16M", str(script), str(ROOT / "lib"), str(tmp_path / "log"),
         str(ROOT), str(tmp_path)],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.stdout.splitlines() == ["%d polls" % n], done.stdout + done.stderr


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
