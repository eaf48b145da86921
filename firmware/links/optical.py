# SPDX-License-Identifier: MIT
"""Makes lines that are more than a stream, see line.py: optical ports with the protocol of
IEC 62056-21, and RS-485. Only the start needs this module.

    ["optical-pty", name, descriptor, options...]     a pseudo-terminal: no rate, no parity
    ["optical-tty", path, 0, options...]              a serial port of a PC
    ["optical-uart", number, 0, options...]           a UART of a board
    ["hdlc-tty", path, rate, options...]
    ["hdlc-uart", number, rate, options...]

Options: "echo" (what is sent comes back), "rs-485" (the driver pin of wiring.UARTS switches to
sending; on a PC RTS does). Lines have eight bits and no parity; the profile makes characters of
seven with one.
"""

from firmware.links.line import Line
from firmware.ports import lines


def optical(want, meter, hdlc, port, trace):
    """The link of an optical port; hdlc: the profile behind mode E."""
    from cosem.local_port import LocalPort
    from profiles.iec62056_21 import TariffDevice

    terms = getattr(meter, "optical", None)  # only some have it, and room for it
    if terms is None:
        raise ValueError("it has no [optical], which an optical port needs.")
    kind = want[0]
    data = LocalPort(meter.server, hdlc.links[0].channel, terms)
    profile = TariffDevice(hdlc, data, kind != "optical-pty")
    rate = 0 if kind == "optical-pty" else profile.baud
    name = want[1]
    if kind == "optical-pty":
        opened = port.open_fd(want[2])
    else:
        if kind == "optical-uart":
            name = "UART%d" % want[1]
        opened = _opened(want, rate)
    shown = None
    if trace:
        from firmware.links.trace_21 import OpticalTrace

        shown = OpticalTrace(port, profile)
    return Line(port, want, name, opened, profile, shown, rate)


def half_duplex(want, name, hdlc, port, traces):
    """HDLC on a serial port of a PC, or on a UART with options."""
    opened = _opened(want, want[2])
    return Line(port, want, name, opened, hdlc, traces[0] if traces else None, want[2])


def _opened(want, rate):
    if want[0][-4:] == "uart":
        return lines.open_uart(want[1], rate)
    from firmware.ports.lines.cpython import open_tty

    return open_tty(want[1], rate, rs485="rs-485" in want)
