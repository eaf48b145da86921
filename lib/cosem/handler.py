# SPDX-License-Identifier: MIT
"""What a module of an interface class with behaviour offers to the model.

One instance serves all objects of the class. Everything but __init__, start and tick is on the
path of a request and allocates nothing. Results are data_access_result and action_result codes.
"""

from micropython import const

_SUCCESS = const(0)
_READ_WRITE_DENIED = const(3)
_OBJECT_UNDEFINED = const(4)


class Handler:
    """A class that stores and does nothing: the defaults of every hook."""

    def __init__(self, model):
        self.model = model

    def start(self, row):
        """Called once for each object at boot."""

    def open(self, s):
        """Begin the value of computed attribute s.attribute: set s.n, the number of its items.

        255: it is what a job(), of method 0, returns; when that is done this is called again.
        """
        return _OBJECT_UNDEFINED

    def item(self, s, buf, pos):
        """Write item s.k of the value at buf[pos:], at most 384 octets; return its end or -1.

        It reads no other computed attribute: there is one place to make an item in.
        """
        return -1

    def check(self, row, attribute, buf, pos, end):
        """May this value, of the right type, be stored? (flag `check` of the class file)"""
        return _SUCCESS

    def set(self, row, attribute, buf, pos, end):
        """Take the value of a computed attribute."""
        return _READ_WRITE_DENIED

    def changed(self, row, attribute):
        """A stored attribute has a new value (flag `changed` of the class file). True: it cannot
        come into force, and is hardware-fault; a client's is as before then (dlms/undo.py)."""

    def invoke(self, s, method, buf, pos, end):
        """Run a method of s.row; its parameter is buf[pos:end], none if empty.

        -1: it takes long, or needs memory, and is a job().
        """
        return _OBJECT_UNDEFINED

    def job(self, a, row, method, octets):
        """A generator that runs a method for association a, between requests and in steps of at
        most 50 ms on a board; it may allocate. octets: the A-XDR parameter, b"" if there is none.
        Returns (action_result, A-XDR of the return data or b"")."""

    def finish(self, a, row, method):
        """The answer of a job() that was a success is being written: what changes with it."""

    def forget(self):
        """Let go of code that is loaded again when it is needed."""

    def sleeps(self):
        """May all of this class be let go of, for Model.wake() to make it anew? True: nothing is
        remembered here but what due() and watches() say."""
        return False

    def due(self):
        """Of a class that sleeps: the minute (UTC), later than now, in which it needs a tick; one
        far off: none, as things are. 0: it has no ticks, and start() is not called again."""
        return 0

    def watches(self):
        """What else wakes it: for each value that is held against a threshold, the positions of
        their unsigned numbers in the image, octets of these, and where an octet is that is 0 while
        the value is not above the threshold."""
        return ()

    def resume(self, due):
        """It was made anew after due() had said this, and start() was called for each object
        again. 1: what it acts by was set meanwhile. model.shifts and model.deviation are those of
        the clock when all have last looked at it."""

    def wake(self):
        """Have what sleeps() has let go of. Allocates."""

    def tick(self, now):
        """A second of the meter's time has passed."""
