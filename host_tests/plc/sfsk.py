# SPDX-License-Identifier: MIT
"""S-FSK: the medium's rules, and a modem as lib/profiles/modems/README.md has it.

Time is in slots, and all transmissions begin with one. A frame takes 1 to 7 of them. With credits
left it is sent again right behind, by its source and by all repeaters that have it, at the same
time and with the same octets, so that they do not collide; one credit less each time. Frames that
differ do collide. What a host hands over in a slot is sent from the next one on, or when the
repetitions of what was heard are over.

Assumed (61334-5-1 is not public): that a source takes part in the repetitions of its own frame.
"""

from collections import deque

from plc.network import Medium

SLOT_MS = 150
MAX_DATA = 242
UP, DOWN, DATA, CONFIRM, FAULT = 1, 2, 3, 4, 5
NEW, ALL_CONFIGURED, ALL_PHYSICAL = 0xFFE, 0xFFC, 0xFFF
MASK = 0x3FFFFFFF


def n_slots(n):
    """Sub-frames of a frame with an M_sdu of n octets."""
    return (n + 8 + 35) // 36


def one_way_ms(n, ic):
    """A frame with an M_sdu of n octets, all its repetitions included."""
    return n_slots(n) * (ic + 1) * SLOT_MS


class Frame:
    def __init__(self, number, ic, cc, dc, source, destination, data):
        self.number = number
        self.ic, self.cc, self.dc = ic, cc, dc
        self.source, self.destination, self.data = source, destination, data

    def repetition(self):
        return Frame(
            self.number, self.ic, self.cc - 1, self.dc, self.source, self.destination, self.data
        )

    def credits(self):
        return self.ic << 5 | self.cc << 2 | self.dc

    def octets(self):
        """As a modem has it: credits, addresses, pad length, M_sdu."""
        addresses = (self.source << 12 | self.destination).to_bytes(3, "big")
        return bytes((self.credits(),)) + addresses + b"\0" + bytes(self.data)

    @property
    def ms(self):
        return n_slots(len(self.data)) * SLOT_MS


class Line(Medium):
    """The medium."""

    step_ms = SLOT_MS

    def __init__(self, clock, seed=0):
        super().__init__(clock, seed)
        self.n_frames = 0

    def collides(self, one, other):
        return (one.content.number, one.content.cc) != (other.content.number, other.content.cc)

    def next_slot_ms(self):
        return (self.clock.now_ms // SLOT_MS + 1) * SLOT_MS

    def number(self):
        self.n_frames += 1
        return self.n_frames


class Modem:
    """host: what is polled when something has happened, None: nobody.

    offset_ms  what the host's ticks are ahead of the clock
    """

    max_data = MAX_DATA

    def __init__(self, line, master=None):
        """master: the MAC address of an initiator, which needs no synchronization."""
        self.line = line.add(self) and line
        self.master = master
        self.host = None
        self.offset_ms = 0
        self.buf = bytearray(MAX_DATA)
        self.pos = self.end = 0
        self.source = self.destination = self.options = self.status = 0
        self.quality = -1
        self.settings = {}
        self.groups = [0] * 5
        self.asked = []  # settings as they came
        self.busy_settings = 0  # that many set() answer busy
        self.reset_chip()
        self.delta_phase = 1
        self.min_delta_credit = 0
        self.is_repeater = True
        self.calls = []
        self.n_sent = self.n_repeated = self.n_ok = self.n_bad = 0

    def reset_chip(self):
        self.is_up = self.master is not None
        self.events = deque()
        self.seen = deque(maxlen=16)
        self.initiator = 0
        self.sending = None
        self.free_ms = 0  # when the repetitions of what was heard are over
        self.heard_ms = self.line.clock.now_ms
        self.epoch = getattr(self, "epoch", 0) + 1

    @property
    def address(self):
        return self.master if self.master is not None else self.settings.get(1, (NEW, 0))[0]

    @property
    def _locked(self):
        return self.settings.get(1, (NEW, 0))[1]

    # --- The host's side ----------------------------------------------------------------------

    def open(self, now_ms):
        self.reset_chip()

    def set(self, item, a, b):
        if self.busy_settings:
            self.busy_settings -= 1
            return 0
        self.asked.append((item, a, b))
        if item == 5:
            self.groups[a] = b
        elif item == 9:
            self._lose(5)
        else:
            self.settings[item] = (a, b)
            if item == 3 and a:
                self._watch()
        return 1

    def call(self, position, n, threshold):
        self.calls.append((position, n, threshold))
        return 1

    def send(self, buf, pos, end, destination, options):
        if end - pos > self.max_data or not 0 < destination <= 0xFFF:
            return -1
        if self.sending is not None or not self.is_up:
            return 0
        ic = options >> 5
        self.sending = Frame(
            self.line.number(), ic, ic, options & 3, self.address, destination, bytes(buf[pos:end])
        )
        self.line.clock.at(self._start_ms(), self._begin, self.sending)
        return 1

    def _start_ms(self):
        return max(self.line.next_slot_ms(), self.free_ms)

    def poll(self, now_ms):
        if not self.events:
            return 0
        event, what = self.events.popleft()
        if event == DATA:
            n = len(what.data)
            self.buf[:n] = what.data
            self.pos, self.end = 0, n
            self.options = what.credits()
            self.source, self.destination = what.source, what.destination
        elif event in (CONFIRM, DOWN):
            self.status = what
        return event

    def _tell(self, event, what=None):
        self.events.append((event, what))
        if self.host is not None:
            self.line.clock.after(0, self.host.poll)

    # --- The line's side ----------------------------------------------------------------------

    def _begin(self, frame):
        if frame is not self.sending:
            return  # the chip was reset meanwhile
        start = self._start_ms()
        if self.line.clock.now_ms < self.free_ms:
            self.line.clock.at(start, self._begin, frame)
            return
        self.n_sent += 1
        self.seen.append(frame.number)
        self.free_ms = self.line.clock.now_ms + frame.ms * (frame.ic + 1)
        self.line.transmit(self, frame, frame.ms)
        self.line.clock.after(frame.ms, self._left, frame, self.epoch)

    def _left(self, frame, epoch):
        if epoch != self.epoch:
            return
        self.sending = None
        self._tell(CONFIRM, 0)
        self._repeat(frame, epoch)

    def _repeat(self, frame, epoch):
        if frame.cc and epoch == self.epoch:
            again = frame.repetition()
            self.n_repeated += 1
            self.line.transmit(self, again, again.ms)
            self.line.clock.after(again.ms, self._repeat, again, epoch)

    def noise(self, frame):
        self.n_bad += 1

    def hears(self, frame):
        now = self.line.clock.now_ms
        if frame.number in self.seen:
            return
        self.seen.append(frame.number)
        self.n_ok += 1
        self.free_ms = max(self.free_ms, now + frame.ms * frame.cc)
        if self.master is None:
            first, last = self.settings.get(0, (0xC00, 0xDFF))
            of_initiator = first <= frame.source <= last
            if of_initiator and self._locked and frame.source != self._locked:
                return
            if not self.is_up:
                if not of_initiator:
                    return
                self.is_up = True
                self.initiator = frame.source
                self._tell(UP)
            if of_initiator:
                self.heard_ms = now
            if self.settings.get(0x0B, (1, 0))[0] == 1 or self.is_repeater:
                self._repeat(frame, self.epoch)
        if self._is_for_us(frame.destination):
            self._tell(DATA, frame)

    def _is_for_us(self, destination):
        if destination == self.address or destination == ALL_PHYSICAL:
            return True
        if destination == ALL_CONFIGURED:
            return self.address != NEW
        return destination in self.groups and destination != 0

    def _lose(self, reason):
        if self.is_up:
            self.is_up = False
            self.sending = None
            self.epoch += 1
            self._tell(DOWN, reason)

    def _watch(self):
        """time_out_frame_not_OK."""
        limit = self.settings.get(3, (0, 0))[0] * 1000
        if not limit:
            return
        silent = self.line.clock.now_ms - self.heard_ms
        if silent >= limit:
            self._lose(2)
            silent = 0
        self.line.clock.after(limit - silent, self._watch_again, limit)

    def _watch_again(self, limit):
        if self.settings.get(3, (0, 0))[0] * 1000 == limit:
            self._watch()

    # --- Faults -------------------------------------------------------------------------------

    def fail(self):
        """The chip resets by itself."""
        self.reset_chip()
        self._tell(FAULT)

    def deliver(self, frame):
        """Hand the host a frame out of turn: a late duplicate."""
        self._tell(DATA, frame)
