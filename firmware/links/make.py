# SPDX-License-Identifier: MIT
"""Makes the links that the options of main.py name, each with its profiles and channels.

What the setup objects of the definition say goes to the profiles here, when a link is made and
when a client has changed one of them (apply): IEC HDLC setup (class_id 23) and TCP-UDP setup
(class_id 41). All links of a kind follow the first object of that class. Buffers keep the size
that they got at boot, and port numbers are those of the options.
"""

from firmware.links import stream, tcp, udp
from micropython import const

_HDLC_SETUP = const(23)
_WINDOW_TX = const(3)
_WINDOW_RX = const(4)
_MAX_INFO_TX = const(5)
_MAX_INFO_RX = const(6)
_INTER_OCTET = const(7)
_INACTIVITY_HDLC = const(8)
_DEVICE_ADDRESS = const(9)

_TCP_UDP_SETUP = const(41)
_N_CONNECTIONS = const(5)
_INACTIVITY_TCP = const(6)

_CHUNK_LEN = const(128)
_TCP_PLACES = const(4)
_UDP_PLACES = const(2)
# Room for longer information fields than the definition asks for, should a client set them.
_INFO_LEN = const(256)


# Those with the largest buffers first: an empty heap has room for them.
KINDS = ("wrapper-tcp", "hdlc-tcp", "hdlc-pty", "hdlc-usb", "hdlc-uart", "wrapper-udp")


def make_links(wanted, meter, port, trace=False):
    made = {}
    for kind in KINDS:
        for i, want in enumerate(wanted):
            if want[0] == kind:
                made[i] = _MAKERS[kind](want, meter, port, trace)
    return [made[i] for i in range(len(wanted))]


def _traces(port, hdlc, n, trace):
    if not trace:
        return None
    from firmware.links.trace import Trace

    return [Trace(port, hdlc) for _ in range(n)]


def _first(model, class_id):
    rows = model.rows(class_id)
    return rows[0] if rows else -1


def _wrapper(meter, udp, other=None):
    """A wrapper profile; one of UDP uses the buffers of the other that there is already."""
    from profiles.wrapper import Wrapper

    if other is None:
        return Wrapper(meter.server, meter.server.channel(), udp)
    channel = meter.server.channel(0, other.channel.tx)
    return Wrapper(meter.server, channel, udp, rx=other.rx)


def _hdlc(meter):
    from profiles.hdlc import HDLC

    row = _first(meter.model, _HDLC_SETUP)
    info_len = _INFO_LEN
    if row >= 0:
        for attribute in (_MAX_INFO_TX, _MAX_INFO_RX):
            info_len = max(info_len, meter.model.get_int(row, attribute))
    return HDLC(meter.server, meter.server.channel(), info_len)


def _wrapper_tcp(want, meter, port, trace):
    profiles = [_wrapper(meter, False) for _ in range(_TCP_PLACES)]
    traces = _traces(port, False, _TCP_PLACES, trace)
    return tcp.Listener(port, want[0], want[1], want[2], profiles, _CHUNK_LEN, False, traces)


def _wrapper_udp(want, meter, port, trace):
    # An answer leaves before the next datagram is read: one pair of buffers does for all peers.
    profiles = [_wrapper(meter, True)]
    while len(profiles) < _UDP_PLACES:
        profiles.append(_wrapper(meter, True, profiles[0]))
    traces = _traces(port, False, _UDP_PLACES, trace)
    return udp.Endpoint(port, want[0], want[1], want[2], profiles, traces)


def _hdlc_tcp(want, meter, port, trace):
    profiles = [_hdlc(meter)]
    traces = _traces(port, True, 1, trace)
    return tcp.Listener(port, want[0], want[1], want[2], profiles, _CHUNK_LEN, True, traces)


def _hdlc_pty(want, meter, port, trace):
    return _serial(want[0], want[1], port.open_fd(want[2]), meter, port, trace)


def _serial(kind, name, opened, meter, port, trace):
    profile = _hdlc(meter)
    traces = _traces(port, True, 1, trace)
    return stream.Serial(
        port, kind, name, opened, profile, _CHUNK_LEN, traces[0] if traces else None
    )


def _hdlc_uart(want, meter, port, trace):
    opened = port.uart(want[1], want[2])
    return _serial(want[0], "UART%d %d" % (want[1], want[2]), opened, meter, port, trace)


def _hdlc_usb(want, meter, port, trace):
    return _serial(want[0], want[1], port.usb(), meter, port, trace)


_MAKERS = {
    "hdlc-uart": _hdlc_uart,
    "hdlc-usb": _hdlc_usb,
    "wrapper-tcp": _wrapper_tcp,
    "wrapper-udp": _wrapper_udp,
    "hdlc-tcp": _hdlc_tcp,
    "hdlc-pty": _hdlc_pty,
}


def apply(model, links):
    """Hand what the setup objects say to the profiles of the links."""
    row = _first(model, _HDLC_SETUP)
    if row >= 0:
        setup = model.handler_of(row)
        for link in links:
            if link.name[:4] == "hdlc":
                for profile in link.profiles():
                    setup.longest_info = min(setup.longest_info, profile.capacity)
                    profile.configure(
                        model.get_int(row, _MAX_INFO_TX),
                        model.get_int(row, _MAX_INFO_RX),
                        model.get_int(row, _WINDOW_TX),
                        model.get_int(row, _WINDOW_RX),
                        model.get_int(row, _INTER_OCTET),
                        model.get_int(row, _INACTIVITY_HDLC),
                        model.get_int(row, _DEVICE_ADDRESS),
                    )
    row = _first(model, _TCP_UDP_SETUP)
    if row >= 0:
        for link in links:
            if link.name[:7] == "wrapper":
                for profile in link.profiles():
                    profile.configure(model.get_int(row, _INACTIVITY_TCP))
                if link.name == "wrapper-tcp":
                    n = model.get_int(row, _N_CONNECTIONS)
                    link.limit = n if 0 < n < _TCP_PLACES else _TCP_PLACES
