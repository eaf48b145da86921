# SPDX-License-Identifier: MIT
"""Targets over a modem's UART: the drivers against its double, and octets and frames between what
that says."""

from doubles import amis49587, g3_adp, local_frames, mip_u61, prime_node, st7580, usi
from doubles.wire import Bench
from profiles.modems import amis49587 as amis49587_driver
from profiles.modems import g3_adp as g3_driver
from profiles.modems import prime_node as prime_driver
from profiles.modems import st7580 as st7580_driver
from profiles.modems.mip_u61 import MIPU61

from fuzzing.octets import Octets, put

MOST = 0x3FFFFFF


def target(made, double, faults, framed, said):
    modem = made(double)
    bench = Bench((modem, double), step_ms=5)
    bench.open()
    double.strict = False

    def one(octets):
        o = Octets(octets)
        while o:
            kind = o.u8() % 8
            if kind == 0:
                double.uart.to_host += o.some()
            elif kind == 1:
                double.uart.to_host += framed(o.some())
            elif kind == 2:
                double.faults[o.one_of(faults)] = 1
            elif kind == 3:
                data = o.some()
                if data:
                    modem.send(data, 0, len(data), o.one_of((0, 0xC00)), 0)
            elif kind == 4:
                said(double, o)
            elif kind == 5:
                double.uart.piece = o.one_of((1000, 1, 3, 64))
                double.uart.room = o.one_of((1000, 1, 5, 64))
            elif kind == 6:
                bench.run(o.one_of((5, 50, 500, 3000)))
            else:
                bench.run(5)
            bench.run(5)
            bench.events.clear()
            if len(double.uart.to_host) > 4096:
                double.uart.to_host.clear()
        double.faults.clear()
        double.sent.clear()
        for name, value in vars(modem).items():
            if name.startswith("n_"):
                assert 0 <= value <= MOST, name

    one.seeds = [
        b"\6\2\4\1\3" + put(b"\1\2\3") + b"\6\1",
        b"\0" + put(bytes(range(40))) + b"\6\2",
        b"".join(b"\2" + bytes((k,)) + b"\6\2" for k in range(len(faults))),
        *[b"\1" + put(bytes((command,)) + bytes(8)) for command in range(0x00, 0x60, 3)],
    ]
    return one


def _heard(double, o):
    double.hear(o.some() or b"\0")


LOCAL = [name for name in local_frames.FAULTS if name != "silence"]
USI = [name for name in usi.FAULTS if name != "silence"]


def target_modem_amis49587():
    def said(double, o):
        if double.config and not double.synchronized:
            double.synchronize(0xC00, 5)
        elif double.synchronized:
            double.hear(0xC00, 5, o.some() or b"\0")

    def made(double):
        return amis49587_driver.Modem(double.uart, double.t_req, double.reset)

    double = amis49587.Double()
    return target(made, double, LOCAL, _local(double), said)


def target_modem_st7580():
    def made(double):
        return st7580_driver.Modem(double.uart, double.t_req, double.reset)

    double = st7580.Double()
    return target(made, double, LOCAL, _local(double), _heard)


def target_modem_prime_node():
    def said(double, o):
        double.hear(1, o.u8(), o.some() or b"\0", destination=o.one_of((0x123, 0xFFF)))

    def made(double):
        return prime_driver.Modem(double.uart, double.reset, b"PRIME0000000001")

    return target(made, prime_node.Double(), USI, _usi(prime_node.Double.protocol), said)


def target_modem_g3_adp():
    def made(double):
        return g3_driver.Modem(double.uart, double.reset)

    return target(made, g3_adp.Double(), USI, _usi(g3_adp.Double.protocol), _heard)


def _local(double):
    return lambda octets: double.pack(octets[0] if octets else 0, octets[1:250])


def _usi(protocol):
    return lambda octets: usi.pack(protocol, octets or b"\0")


def target_modem_mip_u61():
    faults = [name for name in mip_u61.FAULTS if name != "silence"]

    def framed(octets):
        return mip_u61.message(octets[0] if octets else 0, octets[1:])

    return target(lambda double: MIPU61(double.wire), mip_u61.Double(), faults, framed, _heard)
