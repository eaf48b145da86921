# SPDX-License-Identifier: MIT
"""What follows from failed authentications: delays that grow, and ports that close under attack.

A failure is a wrong secret, a wrong proof of HLS, or an AARQ that is protected wrongly. It counts
in two places, of which each has a lock by the same rule, lockout():

- the association, for the way that the client came. Always; the numbers are below (the standard
  leaves them open). The record is a hidden state of the Association LN object.
- the communication port, where a Communication port protection object (class 124) names its setup
  object; the numbers are that object's, see cosem/port_protection.py.

While an association is locked an AARQ for it is not judged: it is answered with rejected-transient
and no-reason-given of the service provider, as one is for which there is no room. Transient says
that it may be tried again; any diagnostic of the authentication would tell whether it was right.

Whom an attacker can keep out: an association is locked for the link that he uses, a minute at
most, and nobody on another link, or with another client SAP, is delayed by him. A client who
authenticates its AARQ with the key has a record of its own, that only holders of the key can fill.
So only clients that protect nothing wait for somebody else, on his link. An object of class 124
closes its whole port: to whoever has no association open there, for so long as it says.

The count of an association begins anew when its client succeeds, and the port's failed_attempts
get lower by as much: whoever knows one secret cannot use it to hide guesses at another.

Time is the meter's own, counted from the last save after a restart: a power failure makes no delay
shorter. Nothing is allocated after the start.
"""

from micropython import const

# Of an association: failures that bring no lock, the first lock and the longest in seconds, and
# what each is longer than the one before.
_ALLOWED = const(3)
_INITIAL_S = const(1)
_STEEPNESS = const(2)
_LONGEST_S = const(60)

# The record of an association: for each way of coming, failures in a row and seconds left. The
# last is that of clients who have shown that they hold the key, whichever way they come.
_RECORD = const(0)  # its number among the hidden states of Association LN
_WAYS = const(3)
_HOLDERS = const(3)
_MOST_FAILURES = const(255)
_AUTHENTICATED = const(1)

# Status of a gate: protection_status of class 124.
_UNLOCKED = const(0)
_TEMPORARILY_LOCKED = const(1)
_LOCKED = const(2)

_SECOND_MS = const(1000)
_AARQ = const(0x60)
_LOWEST = const(0)

# State and event of association.py, fields of a row of ASSOCIATIONS.
_OPEN = const(2)
_ABORTED = const(6)
_ROW = const(2)
_MECHANISM = const(3)
_SECURITY = const(8)


def lockout(n, allowed, initial, steepness, longest):
    """Seconds of the lock that the n-th failure in a row brings (all below 2**30); 0: none."""
    n -= allowed
    if n <= 0:
        return 0
    seconds = initial if initial < longest else longest
    if steepness > 1:
        while n > 1 and 0 < seconds < longest:
            seconds = longest if seconds > longest // steepness else seconds * steepness
            n -= 1
    return seconds


class Gate:
    """A communication port, as a link and its channels see it.

    way     which of the records of associations its clients fill: from the fourth link on, one
            that another link fills too
    setup   row of its setup object, -1: it has none
    row     row of the Communication port protection that names the setup object; -1: none does
    status  _UNLOCKED, _TEMPORARILY_LOCKED, _LOCKED
    opened  somebody has opened an association here; who looks for that resets it
    """

    opened = False

    def __init__(self, server, way, setup):
        self.server = server
        self.way = way
        self.setup = setup
        self.row = -1
        self.status = _UNLOCKED

    def admits(self, a, tag):
        """While it is locked: is this request of association a (or None) served?

        Temporarily locked, nobody can try anything; who has shown its secret or key goes on.
        """
        return (
            self.status != _LOCKED
            and a is not None
            and a.state == _OPEN
            and tag != _AARQ
            and (a.config[_MECHANISM] != _LOWEST or a.config[_SECURITY] >= 0)
        )

    def shut(self):
        """Is nobody to be heard here at all? A link asks before it listens."""
        if self.status == _UNLOCKED:
            return False
        for a in self.server.associations:
            if a.channel is not None and a.channel.gate is self and self.admits(a, 0):
                return False
        return True


class Guard:
    """The locks of a server."""

    def __init__(self, server):
        self.server = server
        self.model = server.model
        self.gates = []
        self.anywhere = Gate(server, 0, -1)  # of channels that nobody has given another
        self._protection = self.model.handler("port_protection")
        if self._protection is not None:
            self._protection.on_change = self._settle
        self._rows = sorted({config[_ROW] for config in self.model.configs})
        self._ms = 0
        self._running = True  # some lock may have time left

    def gate(self, setup=-1):
        """A gate for one more link (boot only); setup: row of its setup object."""
        gate = Gate(self.server, len(self.gates) % _WAYS, setup)
        self.gates.append(gate)
        self._settle()
        return gate

    def _settle(self):
        """Tie the gates to their objects, which clients may write."""
        protection = self._protection
        if protection is None:
            return
        self._running = True
        for gate in self.gates:
            gate.row = protection.find(gate.setup) if gate.setup >= 0 else -1
            gate.status = protection.status(gate.row) if gate.row >= 0 else _UNLOCKED

    def _record(self, a, config):
        """Where the image has the two octets that count for this client."""
        way = _HOLDERS if a.protection & _AUTHENTICATED else a.channel.gate.way
        return self.model.state(config[_ROW], _RECORD) + 2 * way

    def is_locked(self, a, config):
        """Has this AARQ to wait?"""
        return self.model.image[self._record(a, config) + 1] != 0

    def failed(self, a, config):
        """A client has failed to authenticate itself, while nothing was locked."""
        at = self._record(a, config)
        image = self.model.image
        if image[at] < _MOST_FAILURES:
            image[at] += 1
        image[at + 1] = lockout(image[at], _ALLOWED, _INITIAL_S, _STEEPNESS, _LONGEST_S)
        self._running = True
        row = a.channel.gate.row
        if row >= 0:
            self._protection.failed(row)
        self._changed(config)

    def passed(self, a, config):
        """A client has succeeded."""
        at = self._record(a, config)
        image = self.model.image
        n = image[at]
        if n:
            image[at] = image[at + 1] = 0
            row = a.channel.gate.row
            if row >= 0:
                self._protection.passed(row, n)
            self._changed(config)

    def _changed(self, config):
        """There is something to save."""
        if self.model.on_edit is not None:
            self.model.on_edit(config[_ROW], 0)

    def tick(self, elapsed_ms):
        """So much of the meter's time has passed."""
        self._ms += elapsed_ms
        if self._ms < _SECOND_MS:
            return
        seconds = self._ms // _SECOND_MS
        self._ms -= seconds * _SECOND_MS
        if not self._running:
            return
        self._running = False
        image = self.model.image
        for row in self._rows:
            at = self.model.state(row, _RECORD) + 1
            for _ in range(_WAYS + 1):
                if image[at]:
                    image[at] = image[at] - seconds if image[at] > seconds else 0
                    self._running = True
                at += 2
        if self._protection is not None and self._protection.pass_time(seconds):
            self._running = True
        # A port that was locked by a client: its own answer has gone out.
        for a in self.server.associations:
            if a.channel is not None and a.channel.gate.status == _LOCKED:
                a.channel.last = None
                a.event(_ABORTED)
