# SPDX-License-Identifier: MIT
"""What M-Bus clients (class 72) say to their slaves, and what comes of it: their attributes, and
the Extended registers 0.b.24.2.e that they capture to (mbus_data.py).

    bus = Bus(model, master, aes)      master: profiles/mbus.py; aes(key) gives an AES object
    bus.begin(row, method, octets)     a Task, with `result` < 0 until it is done
    bus.turn()                         goes on with the first of them, between two frames, and then
                                       with what the clients want and nobody waits for

What is said is written as generators, one method of class 72 each. They run between two requests
and allocate.

    slave_install       SND_NKE to address 0, SND_UD 01 7A address, then as capture without values
    slave_deinstall     SND_UD 01 7A 00
    capture             SND_NKE (or the selection of a slave), REQ_UD2 until no more follows, then
                        REQ_UD1, whose answer is the alarm; who says nothing to it has none
    reset_alarm         SND_UD 01 FD 17 00 (error flags): uncertain, public sources name no record
    synchronize_clock   SND_UD 04 6D time
    data_send           SND_UD with its records
    transfer_key        SND_UD 0D FD 19 10 key: uncertain, likewise

With a key, answers in mode 5 (AES-128, CBC) alone are believed, from the first one on that was; of
these, what is in the blocks. Those in another mode, or without a key here, are refused. What is
sent is never ciphered.
"""

from cosem import slots
from firmware.meter import mbus_data
from micropython import const
from profiles import mbus, mbus_records

_PRIMARY_ADDRESS = const(5)
_IDENTIFICATION_NUMBER = const(6)
_MANUFACTURER_ID = const(7)
_VERSION = const(8)
_DEVICE_TYPE = const(9)
_ACCESS_NUMBER = const(10)
_STATUS = const(11)
_ALARM = const(12)
_CONFIGURATION = const(13)

# Methods of class 72.
_SLAVE_INSTALL = const(1)
_SLAVE_DEINSTALL = const(2)
_CAPTURE = const(3)
_RESET_ALARM = const(4)
_SYNCHRONIZE_CLOCK = const(5)
_DATA_SEND = const(6)

_SUCCESS = const(0)
_HARDWARE_FAULT = const(1)
_TEMPORARY_FAILURE = const(2)
_OTHER_REASON = const(250)

# Of the link layer, see profiles/mbus.py.
_SND_NKE = const(0x40)
_SND_UD = const(0x53)
_REQ_UD1 = const(0x5A)
_REQ_UD2 = const(0x7B)
_FCB = const(0x20)
_SELECTED = const(0xFD)
_LAST_ADDRESS = const(250)
_ACKNOWLEDGED = const(1)
_ANSWER = const(2)
_GOOD = const(0)
_NO_DATA = const(3)
_DATA = const(7)
_DATA_MAX = const(250)

# Control information.
_SEND = const(0x51)
_SELECT = const(0x52)
_ALARM_STATUS = const(0x71)
_LONG_HEADER = const(0x72)
_SHORT_HEADER = const(0x7A)
_NO_HEADER = const(0x78)
_MODE = const(0x1F)
_AES_CBC = const(5)

_MORE_FOLLOWS = const(0x1F)
_MOST_ANSWERS = const(16)


class Task:
    def __init__(self, row, method, steps):
        self.row = row
        self.method = method
        self.steps = steps
        self.result = -1


class Bus:
    def __init__(self, model, master, aes):
        self.model = model
        self.master = master
        self.aes = aes
        self.client = model.handler("mbus_client")
        self.fault = None  # what has ended a task that should not have
        self.port_row = -1  # of the M-Bus master port setup that this is; -1: there is none
        self.tasks = []
        self._record = mbus_records.Record()

    def begin(self, row, method, octets):
        task = Task(row, method, self._steps(row, method, octets))
        self.tasks.append(task)
        return task

    def is_busy(self):
        return len(self.tasks) > 0 or self.client is not None and self.client.waits

    def _begin_wanted(self):
        """The first of what the clients want, if it has not been begun yet."""
        wanted = self.client.wanted
        for i, row in enumerate(self.client.rows):
            for method in range(_SLAVE_DEINSTALL, _SYNCHRONIZE_CLOCK + 1):
                if wanted[i] >> method & 1:
                    wanted[i] &= ~(1 << method)
                    self.begin(row, method, b"")
                    return
        self.client.waits = False

    def turn(self):
        """Go on, unless the line is busy."""
        while self.is_busy() and self.master.result >= 0:
            if not self.tasks:
                self._begin_wanted()
                continue
            task = self.tasks[0]
            try:
                next(task.steps)
            except StopIteration as e:
                self.tasks.pop(0)
                task.result = e.value
                if task.result == _SUCCESS:
                    self.model.edited(task.row, 0)
            except Exception as e:
                self.tasks.pop(0)
                task.result = _OTHER_REASON
                self.fault = e

    def fail(self):
        """There is no line now: nothing of it can be done."""
        for task in self.tasks:
            task.result = _HARDWARE_FAULT
        self.tasks.clear()
        if self.client is not None:
            self.client.waits = False
            for i in range(len(self.client.wanted)):
                self.client.wanted[i] = 0

    def _steps(self, row, method, octets):
        if method == _SLAVE_INSTALL:
            return self._install(row, octets[1])
        if method == _SLAVE_DEINSTALL:
            return self._deinstall(row)
        if method == _CAPTURE:
            return self._capture(row)
        return self._send(row, method, octets)

    # --- Frames -----------------------------------------------------------------------------

    def _short(self, c, address, want):
        self.master.short(c, address, want)
        while self.master.result < 0:
            yield
        return self.master.result

    def _long(self, address, ci, end, want=_ACKNOWLEDGED):
        self.master.long(_SND_UD, address, ci, end - _DATA, want)
        while self.master.result < 0:
            yield
        return self.master.result

    def _reach(self, row):
        """The address of a slave that is there and ready, -1 if it is not."""
        address = slots.octet(self.model, row, _PRIMARY_ADDRESS)
        self.master.short(_SND_NKE, address, _ACKNOWLEDGED)
        if address == _SELECTED:
            self.master.once()  # to who was selected before, who is not any more: if there is one
        while self.master.result < 0:
            yield
        if address != _SELECTED:
            return address if self.master.result == _GOOD else -1
        out = self.master.out
        at = self._attribute(row, _IDENTIFICATION_NUMBER)
        end = mbus.secondary(out, _DATA, at, *self._who(row))
        result = yield from self._long(_SELECTED, _SELECT, end)
        return _SELECTED if result == _GOOD else -1

    def _attribute(self, row, attribute):
        """Content of a number, as octets."""
        model = self.model
        at = slots.offset(model, row, attribute)
        return bytes(
            slots.source(model, row, attribute)[at + 1 : at + model.value_len(row, attribute)]
        )

    def _who(self, row):
        model = self.model
        return (
            slots.long_unsigned(model, row, _MANUFACTURER_ID),
            slots.octet(model, row, _VERSION),
            slots.octet(model, row, _DEVICE_TYPE),
        )

    # --- Methods ----------------------------------------------------------------------------

    def _install(self, row, address):
        if not address:
            for address in range(1, _LAST_ADDRESS + 1):
                if self.client.is_free(row, address):
                    break
        result = yield from self._short(_SND_NKE, 0, _ACKNOWLEDGED)
        if result != _GOOD:
            return _TEMPORARY_FAILURE
        end = mbus.put(self.master.out, _DATA, bytes((0x01, 0x7A, address)))
        result = yield from self._long(0, _SEND, end)
        if result != _GOOD:
            return _TEMPORARY_FAILURE
        self._put(row, _PRIMARY_ADDRESS, address)
        result = yield from self._read(row, False)
        if result != _SUCCESS:
            # It has that address, but has not said who it is: it is not installed.
            self._put(row, _PRIMARY_ADDRESS, 0)
        return result

    def _deinstall(self, row):
        address = yield from self._reach(row)
        if address >= 0 and address != _SELECTED:
            end = mbus.put(self.master.out, _DATA, b"\x01\x7a\x00")
            yield from self._long(address, _SEND, end)
        for attribute in range(_PRIMARY_ADDRESS, min(self.model.n_attributes(row), 13) + 1):
            self._put(row, attribute, 0)
        self.client.key_is(row, gone=True)
        return _SUCCESS

    def _capture(self, row):
        result = yield from self._read(row, True)
        if result != _SUCCESS:
            return result
        address = slots.octet(self.model, row, _PRIMARY_ADDRESS)
        self.master.short(_REQ_UD1, address, _ANSWER)
        self.master.once()
        while self.master.result < 0:
            yield
        rx = self.master.rx
        if self.master.result == _NO_DATA:
            self._put(row, _ALARM, 0)
        elif self.master.result == _GOOD and rx[6] == _ALARM_STATUS and self.master.n == 10:
            self._put(row, _ALARM, rx[_DATA])
        return _SUCCESS

    def _send(self, row, method, octets):
        out = self.master.out
        address = yield from self._reach(row)
        if address < 0:
            return _TEMPORARY_FAILURE
        if method == _SYNCHRONIZE_CLOCK:
            end = mbus_records.put_time(out, _DATA, self.model.handler("clock").local)
        elif method == _RESET_ALARM:
            end = mbus.put(out, _DATA, b"\x01\xfd\x17\x00")
        elif method == _DATA_SEND:
            end = mbus_data.put(out, _DATA, _DATA + _DATA_MAX, octets)
            if end < 0:
                return _OTHER_REASON
        else:
            end = mbus.put(out, _DATA, b"\x0d\xfd\x19\x10" + octets[2:])
        result = yield from self._long(address, _SEND, end)
        if result != _GOOD:
            return _TEMPORARY_FAILURE
        if method == _RESET_ALARM:
            self._put(row, _ALARM, 0)
        elif method > _DATA_SEND:
            self.client.key_is(row, transferred=True)
        return _SUCCESS

    # --- Answers ----------------------------------------------------------------------------

    def _read(self, row, capture):
        """Have all that a slave has to say; action_result."""
        address = yield from self._reach(row)
        if address < 0:
            return _TEMPORARY_FAILURE
        c = _REQ_UD2
        for _ in range(_MOST_ANSWERS):
            result = yield from self._short(c, address, _ANSWER)
            if result == _NO_DATA:
                return _SUCCESS
            more = self._take(row, capture) if result == _GOOD else -1
            if more < 0:
                return _TEMPORARY_FAILURE
            if not more:
                break
            c ^= _FCB
        return _SUCCESS

    def _take(self, row, capture):
        """Take an answer. 1: another one follows; 0: that is all; -1: it cannot be used."""
        rx = self.master.rx
        pos = _DATA
        end = self.master.n - 2
        ci = rx[6]
        if ci == _LONG_HEADER and end - pos >= 12:
            if not self._is_from(row, rx, not capture):
                return -1
            pos += 8
        elif ci == _NO_HEADER and not self.client.is_key_used(row):
            return self._records(row, rx, pos, end) if capture else 0
        elif ci != _SHORT_HEADER or end - pos < 4:
            return -1
        access_number, status = rx[pos], rx[pos + 1]
        configuration = rx[pos + 2] | rx[pos + 3] << 8
        pos += 4
        mode = configuration >> 8 & _MODE
        key = self.client.key(row)
        if mode:
            if mode != _AES_CBC or not key:
                # Who it is can be seen all the same.
                return -1 if capture else 0
            if not self._decipher(row, key, pos, end, configuration >> 4 & 0x0F, access_number):
                return -1
            # What is behind the blocks anybody may have put there.
            end = pos + (configuration & 0xF0)
            self.client.key_is(row)
        elif self.client.is_key_used(row):
            return -1
        self._put(row, _ACCESS_NUMBER, access_number)
        self._put(row, _STATUS, status)
        if self.model.n_attributes(row) >= _CONFIGURATION:
            self._put(row, _CONFIGURATION, configuration)
        return self._records(row, rx, pos, end) if capture else 0

    def _decipher(self, row, key, pos, end, n_blocks, access_number):
        """Decipher the answer, of n_blocks; True if it was this key."""
        rx = self.master.rx
        address = bytearray(rx[_DATA : _DATA + 8])
        if rx[6] == _SHORT_HEADER:
            identification = self._attribute(row, _IDENTIFICATION_NUMBER)
            mbus.secondary(address, 0, identification, *self._who(row))
        # In front of an initial value comes the manufacturer.
        address = address[4:6] + address[:4] + address[6:]
        aes = self.aes(key)
        return n_blocks > 0 and mbus_records.decipher(
            aes, rx, pos, end, n_blocks, address, access_number
        )

    def _is_from(self, row, rx, new):
        """Is it the header of this client's slave? What a new one says is who it is."""
        model = self.model
        at = _DATA
        identification = bytes((rx[at + 3], rx[at + 2], rx[at + 1], rx[at]))
        who = (rx[at + 4] | rx[at + 5] << 8, rx[at + 6], rx[at + 7])
        known = self._attribute(row, _IDENTIFICATION_NUMBER)
        selected = slots.octet(model, row, _PRIMARY_ADDRESS) == _SELECTED
        if new or not selected and not any(known) and not any(self._who(row)):
            place = model.slot(row, _IDENTIFICATION_NUMBER)
            if place >= 0:
                model.image[place + 1 : place + 5] = identification
            for attribute, value in zip((_MANUFACTURER_ID, _VERSION, _DEVICE_TYPE), who):
                self._put(row, attribute, value)
            return True
        # A client that selects may have said any.
        return selected or known == identification and self._who(row) == who

    def _records(self, row, rx, pos, end):
        record = self._record
        model = self.model
        status = slots.octet(model, row, _STATUS)
        while True:
            pos = mbus_records.following(record, rx, pos, end)
            if pos < 0:
                break
            mbus_data.capture(model, row, record, rx, status)
        if record.coding == _MORE_FOLLOWS:
            return 1
        return 0 if not record.coding else -1

    def _put(self, row, attribute, value):
        if self.model.slot(row, attribute) >= 0:
            self.model.put_int(row, attribute, value)
