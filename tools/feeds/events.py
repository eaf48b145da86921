# SPDX-License-Identifier: MIT
"""What a meter says by its feed, and what it answers."""


class Event:
    """Something that the meter has said. time: seconds since 1970 UTC, by this PC's clock, when
    it happened; ms: by the meter's, from its start on."""

    __slots__ = ("time", "ms")


class Begun(Event):
    """The meter's program has started: about is what it says of itself."""

    __slots__ = ("about",)

    def __init__(self, about):
        self.about = about


class Opened(Event):
    """link is a Link."""

    __slots__ = ("link",)

    def __init__(self, link):
        self.link = link


class Closed(Event):
    """by: meter, peer or reset; None: the meter's program has ended."""

    __slots__ = ("link", "by")

    def __init__(self, link, by=None):
        self.link = link
        self.by = by


class Octets(Event):
    """sent: by the meter. fault: None, or why they have not left: "drop"; "crc": others have,
    which come next."""

    __slots__ = ("link", "sent", "octets", "fault")

    def __init__(self, link, sent, octets, fault=None):
        self.link = link
        self.sent = sent
        self.octets = octets
        self.fault = fault


class Lost(Event):
    """n events are missing here."""

    __slots__ = ("n",)

    def __init__(self, n):
        self.n = n


class State(Event):
    """values: what the meter says of itself once a second,

    time          [minute, second] since 2000-01-01 00:00 UTC
    display       [label, value] as they are shown, or null: it has none
    associations  [{"link", "client", "server", "mechanism", "state": "open" or "pending",
                    "ciphered": true or false}], those that are not idle
    heap          [allocated, free] octets, or null: the runtime cannot say
    supply        null, or [{"connected", "state", "mode"}] of each Disconnect control
    counters      since the start, of 30 bits: {"requests", "refused" (answered by an exception, a
                  confirmedServiceError, or an AARE that rejects), "dropped" (frames that were
                  none), "received", "sent" (octets), "lost" (lines), "overruns"}
    """

    __slots__ = ("values",)

    def __init__(self, values):
        self.values = values


class Link:
    """number, kind, local, peer: as in the line that opens it."""

    __slots__ = ("number", "kind", "local", "peer")

    def __init__(self, number, kind, local, peer):
        self.number = number
        self.kind = kind
        self.local = local
        self.peer = peer


class Answer:
    """To a command. values: what the meter answers; octets: a value in A-XDR, or b""; error: None,
    or the sentence that says why not."""

    __slots__ = ("values", "octets", "error")

    def __init__(self, values, octets=b""):
        self.values = values
        self.octets = octets
        self.error = values.get("error")
