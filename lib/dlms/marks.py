# SPDX-License-Identifier: MIT
"""Repetitions of messages whose keys come with them (wrapped, agreed), and of signed ones.

Of a key that comes with its message the meter knows no counter. So one row of counters goes
through all such messages of a Security setup object, over all their keys. A message is new if its
counter is not below the next; or, if it is authenticated, if its transaction-id, as a number of at
most eight octets, is above all that were taken: a client that begins each key at counter 0 lets
its transaction-ids go up. A signed message that nothing ciphers has no counter, and its
transaction-id has to go up. Answers take the meter's own counters (cosem/security_setup.py).

Data that are protected inside of an APDU (cosem/protected.py) are judged so with the meter's own
keys, too: they have been made before the APDU, and come after it.

This is a rule of this project: the standard's public texts have none. As with other counters, what
is saved is ahead of what is used, and they outlive the keys of the Security setup.
"""

from micropython import const

# Of ciphering.py.
_NOT_POSSIBLE = const(1)
_REPLAYED = const(6)

# A hidden state of Security setup: rx (four octets), transaction-id (eight).
_MARKS = const(2)
_MARKS_LEN = const(12)
_PORTION = const(64)
_NEVER = 0xFFFFFFFF
_LAST_TRANSACTION = 0xFFFFFFFFFFFFFFFF


class Marks:
    """The counters of messages with keys of their own, of one Security setup object.

    rx            the lowest that is taken
    transaction   the highest that was taken
    rx_end, transaction_end   what has been saved: numbers below the first, and up to the second,
                  may have been used
    """

    def __init__(self, model, row):
        self.model = model
        self.at = at = model.state(row, _MARKS)
        image = model.image
        self.rx = self.rx_end = int.from_bytes(image[at : at + 4], "big")
        self.transaction = self.transaction_end = int.from_bytes(image[at + 4 : at + 12], "big")

    def _put(self, rx, transaction):
        at = self.at
        made = rx.to_bytes(4, "big") + transaction.to_bytes(8, "big")
        self.model.image[at : at + _MARKS_LEN] = made

    def settle(self):
        """Exactly what has been used, before an orderly end."""
        self.rx_end, self.transaction_end = self.rx, self.transaction
        self._put(self.rx, self.transaction)

    def _save(self, rx, transaction):
        """False: these numbers could not be saved."""
        self._put(rx, transaction)
        # Twice, as other counters: see cosem/security_setup.py.
        if not self.model.save() or not self.model.save():
            self._put(self.rx_end, self.transaction_end)
            return False
        self.rx_end, self.transaction_end = rx, transaction
        return True

    def take(self, counter, transaction):
        """0: a message with these is new, and from now on is not; else a service-error.
        -1: it has no counter, no transaction-id that counts."""
        goes_on = self.rx <= counter < _NEVER
        rises = transaction > self.transaction
        if not goes_on and not rises:
            return _REPLAYED
        rx = self.rx_end
        if goes_on and counter >= rx:
            rx = min(counter + _PORTION, _NEVER)
        last = self.transaction_end
        if transaction > last:
            last = min(transaction + _PORTION, _LAST_TRANSACTION)
        if (rx != self.rx_end or last != self.transaction_end) and not self._save(rx, last):
            return _NOT_POSSIBLE
        if goes_on:
            self.rx = counter + 1
        if rises:
            self.transaction = transaction
        return 0


def marks(model, context):
    """The Marks of a context, which has none until the first message that needs them."""
    if context.marks is None:
        context.marks = Marks(model, context.row)
    return context.marks


def number(transaction):
    """A transaction-id, with its length, as a number; -1: it is none, or too long to be one."""
    return int.from_bytes(transaction[1:], "big") if 2 <= len(transaction) <= 9 else -1
