# SPDX-License-Identifier: MIT
"""The class modules of a definition: which there are, which sleep, which a request needs, and
their methods.

A class module serves the objects of an interface class that behaves (see cosem/handler.py). What
only requests need may sleep: nothing of it is loaded. A request allocates nothing, so that what it
needs has to be there before it begins; anything else wakes what it comes to.

Who acts by time may sleep as well, and says until when (Handler.due()). That time wakes it, a
value that crosses a threshold (Handler.watches()), the clock that has been set or goes on with
another deviation, and what wakes others. Then it has its tick, and goes again when it can.
"""

from dlms import types
from dlms.prim import compare
from micropython import const

# Fields of a row of the object table, see cosem/model.py.
_ROW_SHIFT = const(4)
_ROW_HANDLER = const(9)

# Modules whose methods read or run other objects.
_READERS = (
    "arbitrator",
    "array_manager",
    "compact_data",
    "profile_generic",
    "register_table",
    "script_table",
)

_SUCCESS = const(0)
_TEMPORARY_FAILURE = const(2)
_OBJECT_UNDEFINED = const(4)
_TYPE_UNMATCHED = const(12)
_OTHER_REASON = const(250)

_FAR = const(0x3FFFFFFF)
# A value of dues: it was woken by no request, and goes when it can; what it acts by was set.
_ROUSED = const(-1)
_CHANGED = const(1)

_NO_PARAMETER = const(0xFFFF)
_RANGE = const(0x83)  # of dlms/types.py
_INTEGER = const(0x0F)


class ClassModules:
    """Handlers by the number that their class has in the object table; see Model."""

    # Of a meter with Function control: a bit a row, set while a function of it is disabled.
    off = None

    def __init__(self, definition):
        self.handler_names = definition.HANDLERS
        # None: a class that has no module, or one that sleeps.
        self.handlers = [None] * len(self.handler_names)
        # When those that sleep are due, and what else wakes them, by the same number; 0: only
        # requests do.
        self.dues = [0] * len(self.handler_names)
        self.watches = {}
        # Those that act, in the order of their ticks. When the first of them is due, 0: they are
        # to be looked at, and what all of them watch.
        self.acting = bytes(range(len(self.handler_names)))
        self._next = 0
        self._watched = ()
        # The clock as all have seen it: see Clock. anew: it is another one; which, and who has not
        # seen that yet, for there may be no room for all of them at a time.
        self.clock = None
        self.shifts = self._shifts = -1
        self.deviation = self._deviation = 0
        self.anew = False
        self._left = ()
        self.stirred = False  # something was woken by no request, or has gone since
        self.short_handler = definition.SHORT_HANDLER
        self.asleep = False
        self.wake()

    def wake(self, only=""):
        """Have all class modules, or one of them. Once it has slept, one that only clients with
        short names see is woken for these alone. Allocates."""
        short = self.short_handler if self.asleep else -1
        for i, name in enumerate(self.handler_names):
            if name and (name == only if only else i != short):
                if self.handlers[i] is None:
                    self._make(i)
                self.handlers[i].wake()
        self._next = 0
        if not only:
            self.asleep = False

    def _make(self, i):
        handler = self.load("cosem." + self.handler_names[i]).Handler(self)
        due = self.dues[i]
        if due > 0:
            for row in range(self.n_rows()):
                if self.objects[(row << _ROW_SHIFT) + _ROW_HANDLER] == i:
                    handler.start(row)
            handler.resume(due)
        self.handlers[i] = handler

    def sleep(self):
        """Let go of the class modules that nobody needs now (Handler.sleeps())."""
        self.asleep = True
        for i in range(len(self.handlers)):
            self._let_go(i)

    def _let_go(self, i):
        handler = self.handlers[i]
        if handler is not None and handler.sleeps():
            due = handler.due()
            if due:
                clock = self.clock
                if (
                    clock is not None
                    and (clock.shifts != self.shifts or clock.deviation != self.deviation)
                    and (not self.anew or i in self._left)
                ):
                    return  # it is to see that first
                self.watches[i] = handler.watches()
                self.stirred = True
            self.dues[i] = due
            self.handlers[i] = None
            self._next = 0

    def wakes(self, row, method=False):
        """Does a request for an attribute, or method, of an object have to wait until the module
        of its class is woken, or all are, for methods that read or run others? wants() is told."""
        i = self.objects[(row << _ROW_SHIFT) + _ROW_HANDLER]
        name = self.handler_names[i]
        if method and name in _READERS:
            if not self.asleep:
                return False
            name = ""
        elif not name or self.handlers[i] is not None:
            return False
        self.wants(name)
        return True

    def load(self, name):
        """The module of this name, as "dlms.set". Allocates."""
        return getattr(__import__(name), name[name.find(".") + 1 :])

    def part(self, name):
        """As Server.part(), which takes its place in a model that has a server."""
        return self.load(name)

    def wants(self, name):
        """As Server.wants(), likewise."""
        self.wake(name)

    def start(self):
        """Let the handlers prepare their objects; once, after the firmware has set its hooks."""
        for row in range(self.n_rows()):
            handler = self.handler_of(row)
            if handler is not None:
                handler.start(row)
        self.clock = self.handler("clock")

    # --- Who acts ---------------------------------------------------------------------------

    def tick(self, now):
        """A second has passed, of a model that has no meter program."""
        if self.look(now):
            for i in self.acting:
                if self.is_due(i, now):
                    self.tick_one(i, now)
            self.looked()

    def look(self, now):
        """A second has passed, in this minute (UTC). False: nobody has anything to do in it. Else
        those of `acting` that is_due() are to have their tick_one(); then looked() ends it."""
        clock = self.clock
        if clock is not None:
            if clock.shifts != self.shifts or clock.deviation != self.deviation:
                self._begin(clock)
                return True
        if self._next <= now:
            return True
        for watch in self._watched:
            if self._is_crossed(watch):
                return True
        return False

    def _begin(self, clock):
        """All are to see that the clock is another one, unless it is known and goes on."""
        if not self.anew or clock.shifts != self._shifts or clock.deviation != self._deviation:
            self.anew = True
            self._shifts = clock.shifts
            self._deviation = clock.deviation
            self._left = [i for i in self.acting if self.handlers[i] is not None or self.dues[i]]

    def looked(self):
        if self.anew and not self._left:
            self.anew = False
            self.shifts = self._shifts
            self.deviation = self._deviation
        self._next = _FAR
        self._watched = ()
        for i in self.acting:
            if self.handlers[i] is not None:
                self._next = 0
            elif self.dues[i]:
                self._next = min(self._next, self.dues[i])
                self._watched += self.watches[i]

    def is_due(self, i, now):
        """Has handler i to have a tick in this minute (UTC)? One that is awake always has."""
        if self.handlers[i] is not None:
            return True
        due = self.dues[i]
        return due > 0 and (due <= now or i in self._left or self.has_crossed(self.watches[i]))

    def has_crossed(self, watches):
        """Is one of these values (Handler.watches()) on the other side of its threshold?"""
        for watch in watches:
            if self._is_crossed(watch):
                return True
        return False

    def _is_crossed(self, watch):
        # By itself, and without names: MicroPython takes heap for the frame of a longer function.
        image = self.image
        above = compare(image, watch[0], image, watch[1], watch[2]) > 0
        return above != (image[watch[3]] != 0)

    def tick_one(self, i, now):
        """The tick of handler i, which is woken if it sleeps. May allocate."""
        if self.handlers[i] is None:
            self.rouse(i)
        self.handlers[i].tick(now)
        if i in self._left:
            self._left.remove(i)
        if self.dues[i] < 0 and self.asleep:
            self._let_go(i)

    def rouse(self, i):
        """Wake handler i, for what is no request. Allocates."""
        self.wake(self.handler_names[i])
        self.stirred = True
        if self.dues[i]:
            self.dues[i] = _ROUSED

    def renew(self, name):
        """What this module acts by has been set: it looks anew (its renew()). No allocation."""
        for i in range(len(self.handler_names)):
            if self.handler_names[i] == name:
                if self.handlers[i] is not None:
                    self.handlers[i].renew()
                elif self.dues[i]:
                    self.dues[i] = _CHANGED
                    self._next = 0

    # --- Handlers of objects ----------------------------------------------------------------

    def handler_of(self, row):
        return self.handlers[self.objects[(row << _ROW_SHIFT) + _ROW_HANDLER]]

    def awake(self, row):
        """As handler_of(); one that sleeps is woken, for what is no request."""
        i = self.objects[(row << _ROW_SHIFT) + _ROW_HANDLER]
        if self.handlers[i] is None and self.handler_names[i]:
            self.rouse(i)
        return self.handlers[i]

    def handler(self, name):
        """The handler that module `name` of cosem gave, or None."""
        for i in range(len(self.handler_names)):
            if self.handler_names[i] == name:
                return self.handlers[i]
        return None

    def is_off(self, row):
        """Has a Function control switched the object off? See function_control.py."""
        return self.off is not None and self.off[row >> 3] >> (row & 7) & 1

    def takes(self, row, method, buf, pos, end):
        """Is buf[pos:end] a parameter of this method? action_result.

        Where the class has the dummy integer(0), nothing at all is taken for it.
        """
        t = self.methods
        class_id = self.class_id(row)
        version = self.version(row)
        at = 0
        while t[at] << 8 | t[at + 1] != class_id or t[at + 2] != version:
            at += 4 + 2 * t[at + 3]
        at += 2 + 2 * method
        tp = t[at] << 8 | t[at + 1]
        if tp == _NO_PARAMETER:
            return _SUCCESS
        if pos == end:
            dummy = self.types[tp] == _RANGE and self.types[tp + 1] == _INTEGER
            return _SUCCESS if dummy else _TYPE_UNMATCHED
        return _SUCCESS if types.check(self.types, tp, buf, pos, end) == end else _TYPE_UNMATCHED

    def act(self, row, method, buf, pos, end):
        """Run a method, without return data; action_result.

        A method that runs others or reads (scripts and captures do) takes what it needs from its
        stream first.
        """
        handler = self.awake(row)
        if method < 1 or method > self.n_methods(row):
            return _OBJECT_UNDEFINED
        if handler is None:
            return _OTHER_REASON
        result = self.takes(row, method, buf, pos, end)
        if not result and self.is_off(row):
            result = _TEMPORARY_FAILURE
        if result:
            return result
        s = self._stream
        s.association = None
        s.row = row
        s.n = 0
        s.out = b""
        s.out_pos = 0
        result = handler.invoke(s, method, buf, pos, end)
        if not result:
            self.edited(row, 0)
        return result
