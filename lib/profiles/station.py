# SPDX-License-Identifier: MIT
"""What the stations of profiles over a modem have in common where the modem registers by itself:
prime.py, g3.py, st7580.py. (S-FSK registers in the meter: sfsk.py.)

    open(now_ms), reset()
    poll(now_ms)       takes an event of the modem, serves, sends; True: there may be more at once
    is_busy()          something waits for the modem, or for the server
    can_notify(), notify(), is_notifying(), llc.note_good, llc.forget_note()     what goes unasked

An answer is done with as soon as the modem has it, for a modem copies: the next request may come
before its confirm. What goes unasked is done with when the modem has said what became of it.
Nothing is allocated.
"""

from micropython import const
from profiles.modems import more

# Events of a modem.
_MODEM_UP = const(1)
_MODEM_DOWN = const(2)
_MODEM_DATA = const(3)
_MODEM_CONFIRM = const(4)
_MODEM_FAULT = const(5)


class Station:
    """n_lost: what the modem did not take or send; n_foreign: what came, and was not for us."""

    closed = False

    def __init__(self, channel, modem, llc, attributes=None):
        """llc: what makes requests of octets, as LLC432 does. attributes: what reads and writes
        those of the modem (cosem/modem_values.py); None: nobody wants them."""
        self.channel = channel
        self.modem = modem
        self.llc = llc
        self.attributes = attributes
        self.muted = False  # the port is locked, see dlms/guard.py
        self.n_lost = 0
        self.n_foreign = 0
        self._n = 0  # octets that wait for the modem
        self._note = False  # the modem has what was not asked for
        self._restarts = False

    @property
    def capacity(self):
        return self.llc.capacity

    # --- What a profile says --------------------------------------------------------------------

    def _up(self):
        """The modem is up."""

    def _receive(self, now_ms):
        """The modem has something for us."""

    def _hand_over(self):
        """Have the modem send the _n octets at llc.out[llc.out_pos:]; as send()."""
        return -1

    # --- Time and events ------------------------------------------------------------------------

    def open(self, now_ms):
        self.reset()
        self.modem.open(now_ms)

    def reset(self):
        """The link goes: what was on its way is forgotten."""
        self._n = 0
        self._note = False
        self.llc.release()

    def restart(self):
        """Start the modem again when the answer that waits has left."""
        self._restarts = True

    def poll(self, now_ms):
        event = self.modem.poll(now_ms)
        if event == _MODEM_DATA:
            self._receive(now_ms)
        elif event == _MODEM_CONFIRM:
            self._confirmed(self.modem.status == 0)
        elif event == _MODEM_UP:
            self._up()
            if self.attributes is not None:
                self.attributes.up()
        elif event == _MODEM_DOWN or event == _MODEM_FAULT:
            if self._n or self._note:
                self._left(False)
        if self._restarts and event == _MODEM_CONFIRM and not self.is_busy():
            self._restarts = False
            self.open(now_ms)
        self.llc.tick(now_ms)
        self._send(now_ms)
        if self.attributes is not None:
            self.attributes.poll(now_ms)
        return event != 0

    def is_busy(self):
        return self._n != 0 or self._note or self.llc.is_busy

    def _confirmed(self, good):
        if self._note:
            self._left(good)
        elif not good:
            self.n_lost = more(self.n_lost)  # the client asks again

    def _left(self, good):
        """What was to be sent has left, or never will."""
        if not good:
            self.n_lost = more(self.n_lost)
        self._n = 0
        self._note = False
        self.llc.sent(good)

    def _send(self, now_ms):
        if self._note:
            return
        if not self._n:
            self._n = self.llc.transmit(now_ms)
        if not self._n or not self.modem.is_up:
            return
        taken = self._hand_over()
        if not taken:
            return
        if taken > 0 and self.llc.is_leaving():
            self._n = 0
            self._note = True
        else:
            self._left(taken > 0)

    # --- Unasked --------------------------------------------------------------------------------

    def can_notify(self):
        """Is there somebody that hears what is sent unasked, and nothing that waits?"""
        return self.modem.is_up and not self.llc.is_notifying()

    def is_notifying(self):
        return self.llc.is_notifying()

    def notify(self, client_sap, server_sap, buf, pos, n):
        """Send the APDU buf[pos:pos + n]; False: not now, or too long. What is in front of it is
        overwritten, and buf must stay as it is until is_notifying() is over."""
        return self.can_notify() and self.llc.notify(client_sap, server_sap, buf, pos, n)
