# SPDX-License-Identifier: MIT
"""What the simulated networks of PRIME and G3 have in common: a medium, nodes that get frames to
each other hop by hop, and modems that search for a network. head.py has the head of it.

The rules are this project's, not those of the MAC layers of PRIME or G3: a node sends when it
hears nobody, after a random number of slots; each hop is acknowledged, and tried up to MAX_TRIES
times; a frame names all nodes on its way. A node that searches asks who is there, takes the
shortest way it is offered, asks the head for a place, and each ALIVE_MS whether it still has it;
after MAX_MISSED without an answer it searches again. Long data goes in segments, and what is
confirmed to a host is that the first hop has them all.
"""

from collections import deque

from plc.network import Medium

UP, DOWN, DATA, CONFIRM = 1, 2, 3, 4
OK, NOT_SENT = 0, 1
NOBODY = 0xFFFF
UNDER_WAY, DONE, REFUSED = 1, 2, 3  # value_state

SLOT_MS = 10
SLOTS = 8
ACK_GAP_MS = 4
MAX_TRIES = 8
HEAD_LEN = 12  # octets of a frame around its data
OFFER_MS = 2000
SEARCH_MS = 5000
ANSWER_MS = 15000
ALIVE_MS = 30000
MAX_MISSED = 3
VALUE_MS = 20
RESET_MS = 1000

# What frames are. The ways of a network to grant a place are its own kinds.
ACK, SEARCH, OFFER, ALIVE, GONE, SEGMENT = "ack search offer alive gone segment".split()


class Air(Medium):
    """rate: bits a millisecond; head_ms: preamble and header; segment: octets in a frame."""

    step_ms = 20
    keep_ms = 5000

    def __init__(self, clock, seed, rate, head_ms, segment):
        super().__init__(clock, seed)
        self.rate, self.head_ms, self.segment = rate, head_ms, segment
        self._number = 0

    def ms(self, n):
        return self.head_ms + (HEAD_LEN + n) * 8 // self.rate

    def number(self):
        self._number += 1
        return self._number


class Frame:
    """path: the nodes on its way; it is at path[at]. A path of one node: whoever hears it."""

    def __init__(self, number, kind, path, body, size=8, at=0):
        self.number, self.kind, self.path, self.body = number, kind, path, body
        self.size, self.at = size, at

    def hop(self):
        return self.number, self.at

    def further(self):
        return Frame(self.number, self.kind, self.path, self.body, self.size, self.at + 1)


class Node:
    """n_failed: frames that a next hop never acknowledged."""

    def __init__(self, air):
        self.air = air
        self.clock = air.clock
        self.on = True
        self.epoch = 0
        self.n_failed = self.n_tries = self.n_forwarded = 0
        air.add(self)
        self.forget()

    def forget(self):
        """As after a reset."""
        self.epoch += 1
        self._queue = deque()  # (frame, done)
        self._tries = 0
        self._acks_ms = 0
        self._seen = deque(maxlen=64)
        self._parts = {}

    def after(self, ms, action, *args):
        """Unless there is a reset first."""
        epoch = self.epoch
        self.clock.after(ms, lambda: epoch == self.epoch and action(*args))

    def came(self, frame):
        """A frame has come to its end here, or is for all."""

    # --- Out ------------------------------------------------------------------------------------

    def put(self, kind, path, body=None, size=8, done=None):
        self._append(Frame(self.air.number(), kind, tuple(path), body, size), done)

    def put_data(self, path, about, octets, done):
        """In segments; done(good) once: all of them were taken, or one was not. about: what goes
        with them, as an address."""
        size = self.air.segment
        pieces = [octets[i : i + size] for i in range(0, len(octets), size)]
        whole = self.air.number()
        left = len(pieces)

        def taken(good):
            nonlocal left
            left -= 1
            if not good:
                left = 0
                self._queue = deque(
                    q for q in self._queue if q[0].kind != SEGMENT or q[0].body[0] != whole
                )
            if not left:
                done(good)

        for k, piece in enumerate(pieces):
            self.put(SEGMENT, path, (whole, k, len(pieces), about, piece), len(piece), taken)

    def offer(self, node, path):
        """Tell a node that searches the way from here to the head; not all at once."""
        delay = self.air.chance.randrange(OFFER_MS // 2)
        self.after(delay, self.put, OFFER, (self, node), path)

    def _append(self, frame, done):
        self._queue.append((frame, done))
        if len(self._queue) == 1:
            self._begin()

    def _begin(self):
        self._tries = 0
        self._wait()

    def _wait(self):
        slots = self.air.chance.randrange(1, SLOTS << min(self._tries, 3))
        self.after(slots * SLOT_MS, self._access, self._queue[0][0])

    def _access(self, frame):
        if not self._queue or self._queue[0][0] is not frame:
            return
        if not self.air.is_free(self) or self.clock.now_ms < self._acks_ms:
            self._wait()
            return
        ms = self.air.ms(frame.size)
        self.air.transmit(self, frame, ms)
        self.n_tries += 1
        if len(frame.path) == 1:
            self.after(ms, self._left, frame, True)
        else:
            self.after(ms + 2 * ACK_GAP_MS + self.air.ms(0), self._no_ack, frame)

    def _no_ack(self, frame):
        if not self._queue or self._queue[0][0] is not frame:
            return
        self._tries += 1
        if self._tries < MAX_TRIES:
            self._wait()
        else:
            self.n_failed += 1
            self._left(frame, False)

    def _left(self, frame, good):
        if not self._queue or self._queue[0][0] is not frame:
            return
        done = self._queue.popleft()[1]
        if done is not None:
            done(good)
        if self._queue:
            self._begin()

    # --- In -------------------------------------------------------------------------------------

    def noise(self, frame):
        pass

    def hears(self, frame):
        if not self.on:
            return
        if frame.kind == ACK:
            if self._queue and self._queue[0][0].hop() == frame.body and frame.path[1] is self:
                self._left(self._queue[0][0], True)
        elif len(frame.path) == 1:
            self.came(frame)
        elif frame.path[frame.at + 1] is self:
            self._acks_ms = self.clock.now_ms + ACK_GAP_MS + self.air.ms(0)
            self.after(ACK_GAP_MS, self._ack, frame)
            if frame.hop() not in self._seen:
                self._seen.append(frame.hop())
                self._take(frame.further())

    def _ack(self, frame):
        ack = Frame(self.air.number(), ACK, (self, frame.path[frame.at]), frame.hop(), 0)
        self.air.transmit(self, ack, self.air.ms(0))

    def _take(self, frame):
        if frame.at + 1 < len(frame.path):
            self.n_forwarded += 1
            self._append(frame, None)
        elif frame.kind == SEGMENT:
            self._join(frame)
        else:
            self.came(frame)

    def _join(self, frame):
        whole, k, n, about, piece = frame.body
        parts = self._parts.setdefault(whole, {})
        parts[k] = piece
        if len(parts) == n:
            del self._parts[whole]
            self.data(frame.path, about, b"".join(parts[i] for i in range(n)))
        elif len(self._parts) > 8:
            del self._parts[min(self._parts)]

    def data(self, path, about, octets):
        """Data has come."""


class Modem(Node):
    """As lib/profiles/modems/README.md has it, with the attributes of usi_modem.py. host: what is
    polled when something has happened. name: what the head knows it by."""

    headroom = 8

    def __init__(self, air, name):
        self.name = name
        self.host = None
        self.buf = b""
        self.pos = self.end = 0
        self.source = self.destination = self.options = self.status = 0
        self.quality = -1
        self.value = bytearray(256)
        self.value_len = self.value_state = 0
        self.written = {}  # octets of attributes
        super().__init__(air)

    def forget(self):
        super().forget()
        self.is_up = False
        self.path = None  # to the head, with both ends
        self.address = NOBODY
        self.value_state = REFUSED if self.value_state == UNDER_WAY else self.value_state
        self._events = deque()
        self._sending = False
        self._missed = 0

    def open(self, now_ms):
        self.forget()
        self.after(RESET_MS, self._search)

    def power_off(self):
        self.on = False
        self.forget()

    def poll(self, now_ms):
        if not self._events:
            return 0
        event, what = self._events.popleft()
        if event == DATA:
            self.source, self.destination, self.options, octets = what
            self.buf = bytearray(self.headroom) + octets
            self.pos, self.end = self.headroom, len(self.buf)
        elif event != UP:
            self.status = what
        return event

    def tell(self, event, what=None):
        self._events.append((event, what))
        if self.host is not None:
            self.after(0, self.host.poll)

    def _confirm(self, good):
        self._sending = False
        self.tell(CONFIRM, OK if good else NOT_SENT)

    def send_data(self, about, octets):
        """What is left of send() when the network has looked at its arguments."""
        if self._sending or not self.is_up:
            return 0
        self._sending = True
        self.put_data(self.path, about, octets, self._confirm)
        return 1

    # --- A place in the network -----------------------------------------------------------------

    def _search(self):
        self._offers = []
        self.put(SEARCH, (self,))
        self.after(OFFER_MS, self._choose)

    def _choose(self):
        if self.is_up:  # an answer to what it had asked before has come after all
            return
        if not self._offers:
            self.after(SEARCH_MS + self.air.chance.randrange(SEARCH_MS), self._search)
            return
        self.ask_for_place((self,) + min(self._offers, key=len))
        self.after(ANSWER_MS, self._unanswered)

    def ask_for_place(self, path):
        """Ask the head, at the end of the path."""

    def _unanswered(self):
        if not self.is_up:
            self.path = None
            self._search()

    def granted(self, path):
        """It has its place."""
        self.path = path
        self.is_up = True
        self.tell(UP)
        self.after(ALIVE_MS, self._alive)

    def _alive(self):
        if self._missed == MAX_MISSED:
            self._lost()
            return
        self._missed += 1
        self.put(ALIVE, self.path, self.name)
        self.after(ALIVE_MS, self._alive)

    def _lost(self):
        was_up = self.is_up
        waits = self._sending
        self.forget()
        if waits:
            self.tell(CONFIRM, NOT_SENT)
        if was_up:
            self.tell(DOWN, 1)
        self.after(RESET_MS, self._search)

    def came(self, frame):
        if frame.kind == SEARCH:
            if self.is_up and frame.path[0] not in self.path:
                self.offer(frame.path[0], self.path)
        elif frame.kind == OFFER:
            self._offers.append(frame.body)
        elif frame.kind == ALIVE:
            self._missed = 0
        elif frame.kind == GONE:
            self._lost()
        else:
            self.place(frame)

    def place(self, frame):
        """The head's answer to ask_for_place()."""

    # --- Attributes -----------------------------------------------------------------------------

    def value_of(self, attribute, index):
        """Octets, None: it has no such attribute."""
        return None

    def read(self, attribute, index=0):
        if self.value_state == UNDER_WAY:
            return 0
        self.value_state = UNDER_WAY
        self.after(VALUE_MS, self._read, attribute, index)
        return 1

    def _read(self, attribute, index):
        octets = self.value_of(attribute, index)
        self.value_state = REFUSED if octets is None else DONE
        if octets is not None:
            self.value_len = len(octets)
            self.value[: len(octets)] = octets

    def write(self, attribute, index, buf, pos, end):
        if self.value_state == UNDER_WAY:
            return 0
        self.value_state = UNDER_WAY
        self.written[attribute] = bytes(buf[pos:end])
        self.after(VALUE_MS, self._wrote)
        return 1

    def _wrote(self):
        self.value_state = DONE
