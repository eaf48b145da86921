# SPDX-License-Identifier: MIT
"""What a runtime gives the firmware: time, randomness, streams, sockets, a poller.

Each port is a module of this package with one interface (positions and lengths in octets):

    NAME                             the runtime, for the boot line
    ticks_ms() -> 0..2**30 - 1       monotonic, wraps
    utc() -> (minute, second)        whole minutes since 2000-01-01 00:00 UTC, and 0..59
    time_of_day() -> (h, m, s)       local time of the host, for the trace only
    random_fill(buf)                 octets nobody can guess, all of buf
    power_fail(handler) -> bool      call it when power will be gone in some milliseconds, between
                                     two steps of the program: POWER_FAIL of wiring.py falls; the
                                     signal SIGPWR (CPython). False: nobody says so here
    out(text)                        a line for whoever watches; never raises
    listen(host, number) -> (listener, number)     TCP; number 0: any free port; raises OSError
    accept(listener) -> (stream, address) | None   of the peer, as the runtime has it
    connect(host, number) -> stream                TCP; what is written waits until it is there,
                                                   and is -1 if it does not come; raises OSError
    look_up(host, six) -> lookup                   begin to ask for the address of a host that has
                                                   a name; six: one of IPv6 rather than of IPv4
    found(lookup) -> host                          what connect() and address() take for it; None:
                                                   that is not known yet. Both raise OSError
    udp(host, number) -> (endpoint, number)        raises OSError
    address(host, number) -> address               of a peer, for sendto; raises OSError
    group(host, number, address) -> endpoint       UDP: what is sent to a multicast address (four
                                                   octets), over the interface that has the
                                                   address host; raises OSError
    recvfrom(endpoint, n) -> (octets, address) | None
    sendto(endpoint, buf, pos, n, address) -> bool  False: it cannot be sent, or not there
    unacknowledged(stream) -> n      TCP: octets written that the other side has not acknowledged;
                                     -1: nobody can say
    interface(host) -> (four, six, mac)  of what is bound to a host: texts of address, mask,
                                     gateway and name server of IPv4; octets of an address of
                                     IPv6; those of the MAC address. None: it cannot say
    open_fd(fd) -> stream            a descriptor that the launcher opened, non-blocking
    uart(number, baud) -> stream     boards only: a UART, by its number in wiring.py. More of
                                     lines: ports/lines
    readinto(stream, buf) -> n       0: nothing now, -1: the other side is gone, -2: by a reset
    write(stream, buf, pos, n) -> n  octets taken, 0: none now, -1: gone
    close(stream)
    Poller()                         add(stream, owner), remove(stream), want_write(stream, yes),
                                     wait(ms): sets owner.ready on each owner that has something

readinto, write, ticks_ms and wait allocate nothing on MicroPython.

A host may be in digits or, after look_up(), a name. CPython asks in a thread. MicroPython and
CircuitPython can only wait: look_up() and found() do nothing there, and connect() or address()
asks, which stops the meter until the answer comes (on a board that has the name in the cache of
lwIP not at all, else usually some milliseconds; if no server answers, many seconds).

What security needs of a runtime is apart, in ciphers/, for meters that have it, and what serial
lines need beside their octets in lines/.
"""

import sys


def current():
    """The port module of the runtime that this runs on."""
    name = sys.implementation.name
    if name == "circuitpython":
        from firmware.ports import circuitpython as port
    elif name == "micropython":
        from firmware.ports import micropython as port
    else:
        from firmware.ports import cpython as port
    return port
