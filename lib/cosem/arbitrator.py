# SPDX-License-Identifier: MIT
"""Arbitrator (class_id 68, version 0; IEC 62056-6-2, 4.5.12).

Actors, counted from 1, ask by request_action for some of the actions: bit n of
request_action_list, from 0, stands for action n + 1. What permissions_table has for the actor is
noted as its most recent request; then each action weighs what weightings_table gives it in the
rows of all actors whose most recent request has it, and the script of the heaviest is executed.
last_outcome is its number, or 0 if nothing weighs anything; the result of the method is that of
the script. reset clears the requests and last_outcome.

(uncertain: public texts have the tables and the idea, not the arithmetic. Project-defined: of
actions that weigh the same the first one is executed, and it is executed again by each request
that it wins; what is asked for without permission is left out, but read-write-denied if nothing
is left of it; a request for nothing takes the actor's last one back; there are as many actors as
rows in permissions_table, any other is other-reason; what a row of a table lacks is 0.)

most_recent_requests_table begins anew, with a row an actor and a bit an action, when actions or
permissions are set, which is refused (other-reason) if there is no room for that, as are more
than 127 elements or bits. Nothing is allocated.
"""

from cosem import handler, script_table, slots
from dlms.axdr import get_u16, skip
from dlms.prim import fill
from micropython import const

_ACTIONS = const(2)
_PERMISSIONS_TABLE = const(3)
_WEIGHTINGS_TABLE = const(4)
_REQUESTS_TABLE = const(5)
_LAST_OUTCOME = const(6)

_REQUEST_ACTION = const(1)
_RESET = const(2)

_SUCCESS = const(0)
_READ_WRITE_DENIED = const(3)
_OBJECT_UNDEFINED = const(4)
_OTHER_REASON = const(250)

_ARRAY = const(0x01)
_BIT_STRING = const(0x04)
_MAX = const(127)

# An action: 02 02 09 06 script_logical_name 12 script_selector. What request_action takes: 02 02
# 11 request_actor 04 n request_action_list.
_ACTION_LEN = const(13)
_ACTOR_AT = const(3)
_LIST_AT = const(4)
_WEIGHTING_LEN = const(3)


class Handler(handler.Handler):
    def start(self, row):
        # As it was saved, if it is one for these actions and actors.
        model = self.model
        at = model.slot(row, _REQUESTS_TABLE)
        if at < 0 or model.image[at + 1] != self._n(row, _PERMISSIONS_TABLE):
            self._clear(row)

    def sleeps(self):
        return True

    # --- Attributes -------------------------------------------------------------------------

    def check(self, row, attribute, buf, pos, end):
        n = buf[pos + 1]
        if n > _MAX:
            return _OTHER_REASON
        n_actors = self._n(row, _PERMISSIONS_TABLE)
        n_actions = self._n(row, _ACTIONS)
        if attribute == _ACTIONS:
            n_actions = n
        else:
            if attribute == _PERMISSIONS_TABLE:
                n_actors = n
            at = pos + 2
            while at < end:
                if buf[at + 1] > _MAX:
                    return _OTHER_REASON
                at = skip(buf, at, end)
        room = self.model.capacity(row, _REQUESTS_TABLE)
        return _SUCCESS if _table_len(n_actors, n_actions) <= room else _OTHER_REASON

    def changed(self, row, attribute):
        self._clear(row)
        self.model.edited(row, _REQUESTS_TABLE)

    def _n(self, row, attribute):
        """Number of elements of an array."""
        model = self.model
        return slots.source(model, row, attribute)[slots.offset(model, row, attribute) + 1]

    def _clear(self, row):
        """No actor has asked for anything."""
        model = self.model
        at = model.slot(row, _REQUESTS_TABLE)
        n_actors = self._n(row, _PERMISSIONS_TABLE)
        n_actions = self._n(row, _ACTIONS)
        n = _table_len(n_actors, n_actions)
        if at < 0 or n > model.capacity(row, _REQUESTS_TABLE):
            return
        image = model.image
        fill(image, at, n, 0)
        image[at] = _ARRAY
        image[at + 1] = n_actors
        slots.set_len(image, at, n)
        at += 2
        while n_actors:
            image[at] = _BIT_STRING
            image[at + 1] = n_actions
            at += _row_len(n_actions)
            n_actors -= 1
        at = model.slot(row, _LAST_OUTCOME)
        if at >= 0:
            image[at + 1] = 0

    # --- Methods ----------------------------------------------------------------------------

    def invoke(self, s, method, buf, pos, end):
        if method == _RESET:
            self._clear(s.row)
            return _SUCCESS
        if method != _REQUEST_ACTION:
            return _OBJECT_UNDEFINED
        row = s.row
        result = self._note(row, buf[pos + _ACTOR_AT], buf, pos + _LIST_AT)
        return self._decide(row) if not result else result

    def _note(self, row, actor, buf, pos):
        """What an actor asks for by the bit-string at buf[pos:], as far as it may, is its most
        recent request."""
        model = self.model
        at = model.slot(row, _REQUESTS_TABLE)
        if at < 0 or model.image[at + 1] != self._n(row, _PERMISSIONS_TABLE):
            return _OTHER_REASON  # the definition has no room for it
        if actor == 0 or actor > model.image[at + 1] or buf[pos + 1] > _MAX:
            return _OTHER_REASON
        n_actions = self._n(row, _ACTIONS)
        may = slots.source(model, row, _PERMISSIONS_TABLE)
        may_at = slots.offset(model, row, _PERMISSIONS_TABLE)
        end = may_at + model.value_len(row, _PERMISSIONS_TABLE)
        may_at = _element(may, may_at, actor - 1, end)
        asked = granted = False
        for k in range(buf[pos + 1]):
            if _bit(buf, pos, k):
                asked = True
                if k < n_actions and _bit(may, may_at, k):
                    granted = True
        if asked and not granted:
            return _READ_WRITE_DENIED
        image = model.image
        at += 2 + (actor - 1) * _row_len(n_actions)
        fill(image, at + 2, _row_len(n_actions) - 2, 0)
        for k in range(n_actions):
            if _bit(buf, pos, k) and _bit(may, may_at, k):
                image[at + 2 + (k >> 3)] |= 0x80 >> (k & 7)
        return _SUCCESS

    def _decide(self, row):
        """Execute the action that weighs most; action_result."""
        model = self.model
        heaviest = best = 0
        for k in range(self._n(row, _ACTIONS)):
            weight = self._weight(row, k)
            if weight > heaviest:
                heaviest = weight
                best = k + 1
        at = model.slot(row, _LAST_OUTCOME)
        if at >= 0:
            model.image[at + 1] = best
        if not best:
            return _SUCCESS
        buf = slots.source(model, row, _ACTIONS)
        at = slots.offset(model, row, _ACTIONS) + 2 + (best - 1) * _ACTION_LEN
        return script_table.run(model, row, buf, at)

    def _weight(self, row, action):
        """What an action weighs, counted from 0."""
        model = self.model
        requests = slots.source(model, row, _REQUESTS_TABLE)
        at = slots.offset(model, row, _REQUESTS_TABLE)
        n_actors = requests[at + 1]
        at += 2
        buf = slots.source(model, row, _WEIGHTINGS_TABLE)
        pos = slots.offset(model, row, _WEIGHTINGS_TABLE)
        end = pos + model.value_len(row, _WEIGHTINGS_TABLE)
        weight = 0
        for actor in range(n_actors):
            weights = _element(buf, pos, actor, end)
            if weights < 0:
                break
            if _bit(requests, at, action) and action < buf[weights + 1]:
                weight += get_u16(buf, weights + 3 + action * _WEIGHTING_LEN)
            at += _row_len(requests[at + 1])
        return weight


# --- Octets -----------------------------------------------------------------------------------


def _row_len(n_bits):
    return 2 + (n_bits + 7 >> 3)


def _table_len(n_rows, n_bits):
    return 2 + n_rows * _row_len(n_bits)


def _bit(buf, at, k):
    """Bit k of the bit-string of up to 127 bits at buf[at:]; 0 behind its end."""
    if k >= buf[at + 1]:
        return 0
    return buf[at + 2 + (k >> 3)] >> (7 - (k & 7)) & 1


def _element(buf, at, k, end):
    """Position of element k of the array of up to 127 at buf[at:end], or -1."""
    if k >= buf[at + 1]:
        return -1
    at += 2
    while k:
        at = skip(buf, at, end)
        k -= 1
    return at
