# SPDX-License-Identifier: MIT
"""Makes the links that the options of main.py name, each with its profiles and channels.

Only the start needs this module: links allocate their buffers here and keep them. What a link is
made of is imported when the first of its kind is made.
"""

from firmware.links.settings import first
from micropython import const

_HDLC_SETUP = const(23)
_TCP_UDP_SETUP = const(41)
_MAX_INFO_TX = const(5)
_MAX_INFO_RX = const(6)

_CHUNK_LEN = const(128)
_UART_CHUNK_LEN = const(64)
_TCP_PLACES = const(4)
_UDP_PLACES = const(2)
# Room for longer information fields than the definition asks for, should a client set them.
_INFO_LEN = const(256)


# Those with the largest buffers first: an empty heap has room for them.
KINDS = (
    "wrapper-tcp",
    "hdlc-tcp",
    "hdlc-pty",
    "hdlc-tty",
    "hdlc-usb",
    "hdlc-uart",
    "optical-pty",
    "optical-tty",
    "optical-uart",
    "wrapper-udp",
)


def make_links(wanted, meter, port, trace=False, info_len=_INFO_LEN):
    """The links that are wanted: [kind, ...] each. info_len: HDLC has room for information fields
    of so many octets, or more if the definition asks for it."""
    made = {}
    for kind in KINDS:
        for i, want in enumerate(wanted):
            if want[0] == kind:
                made[i] = _MAKERS[kind](want, meter, port, trace, info_len)
    for i, want in enumerate(wanted):
        if want[0][:4] == "plc-":
            from firmware.links import plc

            made[i] = plc.make(want, meter, port)
    links = [made[i] for i in range(len(wanted))]
    for link in links:
        _guard(link, meter)
    if meter.gateways:
        from firmware.links import outward

        # First in turn: an answer that has come to one of them goes on to its client at once.
        links = outward.make(meter, port) + links
    mbus = getattr(meter, "mbus", None)  # few have one
    if mbus is not None:
        from firmware.links.mbus import MBusPort

        links.append(MBusPort(port, mbus, meter))
    if meter.model.handler("ntp_setup") is not None:
        from firmware.links.ntp import TimeClient

        links.append(TimeClient(meter, port))
    return links


def _guard(link, meter):
    """Make a link a communication port, as dlms/guard.py has them."""
    hdlc = link.name[:4] == "hdlc"
    setup = _HDLC_SETUP if hdlc else _TCP_UDP_SETUP
    if link.name[:4] == "plc-":
        setup = link.setup_class
    row = meter.optical[0] if link.name[:7] == "optical" else first(meter.model, setup)
    gate = meter.server.guard.gate(row)
    link.gate = gate
    for profile in link.profiles():
        for part in getattr(profile, "links", (profile,)):
            part.channel.gate = gate


def _traces(port, hdlc, n, trace, datagrams=False):
    if not trace:
        return None
    from firmware.links.trace import Trace

    return [Trace(port, hdlc, datagrams) for _ in range(n)]


def _wrapper(meter, udp, other=None):
    """A wrapper profile; one of UDP uses the buffers of the other that there is already."""
    from profiles.wrapper import Wrapper

    if other is None:
        return Wrapper(meter.server, meter.server.channel(), udp)
    channel = meter.server.channel(0, other.channel.tx)
    return Wrapper(meter.server, channel, udp, other=other)


def _listener(want, port, profiles, timed, traces):
    from firmware.links.tcp import Listener

    return Listener(port, want[0], want[1], want[2], profiles, _CHUNK_LEN, timed, traces)


def _hdlc(meter, info_len):
    from profiles.hdlc import HDLC

    row = first(meter.model, _HDLC_SETUP)
    if row >= 0:
        for attribute in (_MAX_INFO_TX, _MAX_INFO_RX):
            info_len = max(info_len, meter.model.get_int(row, attribute))
    return HDLC(meter.server, meter.server.channel(), info_len)


def _wrapper_tcp(want, meter, port, trace, info_len):
    profiles = [_wrapper(meter, False) for _ in range(_TCP_PLACES)]
    traces = _traces(port, False, _TCP_PLACES, trace)
    return _listener(want, port, profiles, False, traces)


def _wrapper_udp(want, meter, port, trace, info_len):
    from firmware.links.udp import Endpoint

    # An answer leaves before the next datagram is read: one pair of buffers does for all peers.
    profiles = [_wrapper(meter, True)]
    while len(profiles) < _UDP_PLACES:
        profiles.append(_wrapper(meter, True, profiles[0]))
    traces = _traces(port, False, _UDP_PLACES, trace, True)

    def one_more():
        return _wrapper(meter, True, profiles[0])

    return Endpoint(port, want[0], want[1], want[2], profiles, traces, one_more)


def _hdlc_tcp(want, meter, port, trace, info_len):
    profiles = [_hdlc(meter, info_len)]
    traces = _traces(port, True, 1, trace)
    return _listener(want, port, profiles, True, traces)


def _serial(kind, name, opened, profile, port, trace, chunk_len):
    from firmware.links.stream import Serial

    traces = _traces(port, True, 1, trace)
    return Serial(port, kind, name, opened, profile, chunk_len, traces[0] if traces else None)


def _hdlc_pty(want, meter, port, trace, info_len):
    profile = _hdlc(meter, info_len)
    opened = port.open_fd(want[2])
    return _serial(want[0], want[1], opened, profile, port, trace, _CHUNK_LEN)


def _hdlc_uart(want, meter, port, trace, info_len):
    profile = _hdlc(meter, info_len)
    tty = want[0] == "hdlc-tty"
    name = ("%s %d" if tty else "UART%d %d") % (want[1], want[2])
    if tty or len(want) > 3:
        from firmware.links.optical import half_duplex

        return half_duplex(want, name, profile, port, _traces(port, True, 1, trace))
    opened = port.uart(want[1], want[2])
    return _serial(want[0], name, opened, profile, port, trace, _UART_CHUNK_LEN)


def _optical(want, meter, port, trace, info_len):
    from firmware.links.optical import optical

    return optical(want, meter, _hdlc(meter, info_len), port, trace)


def _hdlc_usb(want, meter, port, trace, info_len):
    from firmware.ports import lines

    opened = lines.open_usb()
    if opened is None:
        raise ValueError("this board has no second USB serial port.")
    profile = _hdlc(meter, info_len)
    return _serial(want[0], want[1], opened, profile, port, trace, _CHUNK_LEN)


_MAKERS = {
    "hdlc-tty": _hdlc_uart,
    "hdlc-uart": _hdlc_uart,
    "hdlc-usb": _hdlc_usb,
    "wrapper-tcp": _wrapper_tcp,
    "wrapper-udp": _wrapper_udp,
    "hdlc-tcp": _hdlc_tcp,
    "hdlc-pty": _hdlc_pty,
    "optical-pty": _optical,
    "optical-tty": _optical,
    "optical-uart": _optical,
}
