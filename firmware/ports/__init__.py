# SPDX-License-Identifier: MIT
"""What a runtime gives the firmware: time, randomness, streams, sockets, a poller.

Each port is a module of this package with one interface (positions and lengths in octets):

    NAME                             the runtime, for the boot line
    ticks_ms() -> 0..2**30 - 1       monotonic, wraps
    utc() -> (minute, second)        whole minutes since 2000-01-01 00:00 UTC, and 0..59
    time_of_day() -> (h, m, s)       local time of the host, for the trace only
    random_fill(buf)                 octets nobody can guess, all of buf
    out(text)                        a line for whoever watches; never raises
    listen(host, number) -> (listener, number)     TCP; number 0: any free port; raises OSError
    accept(listener) -> stream | None
    connect(host, number) -> stream                TCP; what is written waits until it is there,
                                                   and is -1 if it does not come; raises OSError
    udp(host, number) -> (endpoint, number)        raises OSError
    address(host, number) -> address               of a peer, for sendto; host in digits
    group(host, number, address) -> endpoint       UDP: what is sent to a multicast address (four
                                                   octets), over the interface that has the
                                                   address host; raises OSError
    recvfrom(endpoint, n) -> (octets, address) | None
    sendto(endpoint, buf, pos, n, address)
    open_fd(fd) -> stream            a descriptor that the launcher opened, non-blocking
    uart(number, baud) -> stream     boards only: a UART, by its number in wiring.py
    readinto(stream, buf) -> n       0: nothing now, -1: the other side is gone
    write(stream, buf, pos, n) -> n  octets taken, 0: none now, -1: gone
    close(stream)
    Poller()                         add(stream, owner), remove(stream), want_write(stream, yes),
                                     wait(ms): sets owner.ready on each owner that has something

readinto, write, ticks_ms and wait allocate nothing on MicroPython.

What security needs of a runtime is apart, in ciphers/, for meters that have it.
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
