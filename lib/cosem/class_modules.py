# SPDX-License-Identifier: MIT
"""The class modules of a definition: which there are, which sleep, which a request needs, and
their methods.

A class module serves the objects of an interface class that behaves (see cosem/handler.py). What
only requests need may sleep: nothing of it is loaded. A request allocates nothing, so that what it
needs has to be there before it begins; anything else wakes what it comes to.
"""

from dlms import types
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
                    self.handlers[i] = self.load("cosem." + name).Handler(self)
                self.handlers[i].wake()
        if not only:
            self.asleep = False

    def sleep(self):
        """Let go of the class modules that only requests need (Handler.sleeps())."""
        self.asleep = True
        for i, handler in enumerate(self.handlers):
            if handler is not None and handler.sleeps():
                self.handlers[i] = None

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

    def tick(self, now):
        for handler in self.handlers:
            if handler is not None:
                handler.tick(now)

    def handler_of(self, row):
        return self.handlers[self.objects[(row << _ROW_SHIFT) + _ROW_HANDLER]]

    def awake(self, row):
        """As handler_of(); one that sleeps is woken, for what is no request."""
        i = self.objects[(row << _ROW_SHIFT) + _ROW_HANDLER]
        if self.handlers[i] is None and self.handler_names[i]:
            self.wake(self.handler_names[i])
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
        if handler is None or method < 1 or method > self.n_methods(row):
            return _OBJECT_UNDEFINED
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
