# SPDX-License-Identifier: MIT
"""The feed: what a running meter says of itself for programs, and how they ask it for more.

A meter whose options have "feed" (the octets that it may keep until they are read) prints lines
that begin with 1E (record separator) among its others, and takes commands as lines on its stdin.
On a board both go over the port of its REPL. firmware/feed.py is the meter's side.

Lines of the meter, their fields one space apart. T: its milliseconds, 0..2**30 - 1, which wrap.

    <1E>H T JSON        it begins: {"feed": 1, "runtime", "time": [minute, second] since 2000-01-01
                        UTC, "speed"}. Whatever was open before is closed
    <1E>O T LINK JSON   a link is open, its number LINK from now on: {"kind", "local", "peer"}.
                        kind: wrapper-tcp, wrapper-udp, hdlc-tcp, hdlc-pty, hdlc-tty, hdlc-uart,
                        hdlc-usb, optical-pty, optical-tty, optical-uart, plc-...; what the meter
                        opens itself: out-tcp (push, gateway). local, peer: "127.0.0.1:4059", or
                        "[::1]:4059", or the name of a serial port; "" if there is none, or none is
                        known. A peer over UDP has a link of its own from its first datagram on
    <1E>C T LINK BY     it is closed. BY: meter, peer, or reset (by the peer, or for an error)
    <1E>R T LINK HEX    octets that the meter has received. A datagram is a line. A "+" behind HEX:
                        the rest of these octets comes with the next line
    <1E>T T LINK HEX    octets that it has sent
    <1E>F T LINK NAME HEX   octets that a fault has kept from being sent (NAME: drop), or how they
                        would have been sent without one (crc)
    <1E>L T N           N lines could not be printed, for nobody read; they were here
    <1E>S T JSON        its state, once a second, see State
    <1E>V N HEX         a part of the value that command N has asked for
    <1E>A N JSON        the answer to command N, which ends it: {} or what it asks for; {"error":
                        "a sentence"}: nothing was done

Commands: a number N (of the asker, 1 to 99999999), a word, what belongs to it.

    N get CLASS OBIS ATTRIBUTE [ROWS [SAP]]    the value as A-XDR: 3 1.0.1.8.0.255 2. ROWS: only
                        the newest so many of a Profile generic's buffer; 0: all of it. SAP: of
                        this logical device, else of the first that has the object. No rights are
                        asked, but secrets (firmware/links/trace.py) are refused
    N press KEY         display: the next entry; disconnect, reconnect: manual_disconnect and
                        manual_reconnect of class 70, if its mode and state allow it
    N fault LINK crc K     the next K frames (HDLC, 62056-21) leave with a wrong check
    N fault LINK drop K    the next K frames, wpdus or datagrams do not leave
    N fault LINK delay MS  all leave so much later, until it is 0. LINK *: all that are open, and
                        that will be
    N fault LINK none   no more faults
    N state             a state line, now

What is no command is answered with an error too, as number 0 if it has none.

    feed.py      Feed: from these lines to events, and from questions to commands
    events.py    the events: what a meter can say, and its answers
    board.py     the feed of a meter on a board, which needs pyserial; all else is standard library
"""

from .events import Answer, Begun, Closed, Event, Link, Lost, Octets, Opened, State
from .feed import MARK, TICKS, Feed

__all__ = [
    "MARK", "TICKS", "Answer", "Begun", "Closed", "Event", "Feed", "Link", "Lost", "Octets",
    "Opened", "State",
]  # fmt: skip
