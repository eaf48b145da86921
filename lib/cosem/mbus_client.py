# SPDX-License-Identifier: MIT
"""M-Bus client (class_id 72, versions 0 and 1; IEC 62056-6-2, 4.8.3 and 5.8.1): a slave behind the
meter's M-Bus port, and what is captured from it.

The values are stored; here their ranges are kept. What has to be said on the bus is a job, and
firmware/meter/mbus.py says it: `bus` is handed in by the firmware; without one nothing is behind
the class. An element e of capture_definition goes to Extended register 0.b.24.2.e, b as in the
logical name of the client; capture_period in seconds, 0: only when capture is invoked.

Outcomes, project-defined where no public source says them (action_result in decimal):

    no M-Bus port, or mbus_port_reference names another one                     1
    the slave is silent, is another one, or its answers are damaged             2
    slave_install: primary_address is not 0; the new one is used by another
        client, or is none (1 to 250; 0: the first that is free)              250
    capture, reset_alarm, synchronize_clock, data_send, transfer_key,
        slave_deinstall: primary_address is 0                                 250
    data_send: blocks that are none, data of another kind, more than a frame  250
    set_encryption_key: not 16 octets, nor 0 (no key); transfer_key: not 16   250

primary_address is 0 (not installed), 1 to 250, or 253: then identification_number,
manufacturer_id, version and device_type select the slave. identification_number has its eight
digits as BCD (12345678 is 0x12345678), as in the header of its answers. slave_deinstall always
succeeds here, whether or not the slave can still be told. With a script, methods run later, and
only those without a parameter. A meter none of whose associations has security has no jobs
(dlms/secured_association.py): there all of them are other-reason for a client. On the path of a
request nothing is allocated.
"""

from cosem import handler, slots
from dlms.prim import compare, copy, fill
from micropython import const

_M_BUS_MASTER_PORT_SETUP = const(74)

_PORT_REFERENCE = const(2)
_CAPTURE_PERIOD = const(4)
_PRIMARY_ADDRESS = const(5)
_ENCRYPTION_KEY_STATUS = const(14)

_SLAVE_INSTALL = const(1)
_SLAVE_DEINSTALL = const(2)
_CAPTURE = const(3)
_SYNCHRONIZE_CLOCK = const(5)
_SET_ENCRYPTION_KEY = const(7)
_TRANSFER_KEY = const(8)

_MOST = const(127)  # a length of one octet
_NONE = b"\0\0\0\0\0\0"

_LAST_ADDRESS = const(250)
_SELECTED = const(253)

# Hidden state `key`: flags, and 16 octets.
_KEY = const(0)
_KEY_LEN = const(16)
_IS_SET = const(1)
_IS_TRANSFERRED = const(2)
_IS_USED = const(4)
_IN_USE = const(4)  # of encryption_key_status

_LATER = const(-1)
_SUCCESS = const(0)
_HARDWARE_FAULT = const(1)
_OBJECT_UNDEFINED = const(4)
_OTHER_REASON = const(250)
_ENUM = const(0x16)


class Handler(handler.Handler):
    bus = None  # of firmware/meter/mbus.py

    def __init__(self, model):
        handler.Handler.__init__(self, model)
        self.rows = []
        self.wanted = []  # of each: methods that nobody waits for, a bit each
        self.waits = False  # one of them is wanted
        self._periods = []  # of each: how many had passed when it was looked at

    def start(self, row):
        self.rows.append(row)
        self.wanted.append(0)
        self._periods.append(-1)

    def check(self, row, attribute, buf, pos, end):
        if attribute == _PRIMARY_ADDRESS:
            address = buf[pos + 1]
            good = not address or self.is_free(row, address)
        elif attribute == _PORT_REFERENCE:
            good = self._is_port(slots.device_of(self.model, row), buf, pos)
        else:
            good = _are_blocks(buf, pos, end)  # capture_definition
        return _SUCCESS if good else _OTHER_REASON

    def _is_port(self, device, buf, pos):
        """Does the octet-string name an M-Bus master port setup, or (zeros) none?"""
        model = self.model
        if compare(buf, pos + 2, _NONE, 0, 6) == 0:
            return True
        row = model.named(device, buf, pos)
        while row >= 0 and model.class_id(row) != _M_BUS_MASTER_PORT_SETUP:
            row = model.named(device, buf, pos, row)
        return row >= 0

    def changed(self, row, attribute):
        # capture_period: the one that has begun is none any more.
        self._periods[self.rows.index(row)] = -1

    def is_free(self, row, address):
        """Can this be the address of the slave of a client?"""
        if address == _SELECTED:
            return True
        if address > _LAST_ADDRESS:
            return False
        for other in self.rows:
            if other != row and slots.octet(self.model, other, _PRIMARY_ADDRESS) == address:
                return False
        return True

    def open(self, s):
        if s.attribute != _ENCRYPTION_KEY_STATUS:
            return _OBJECT_UNDEFINED
        s.n = 1
        return _SUCCESS

    def item(self, s, buf, pos):
        buf[pos] = _ENUM
        flags = self.model.image[self.model.state(s.row, _KEY)]
        buf[pos + 1] = _IN_USE if flags & _IS_USED else flags
        return pos + 2

    def invoke(self, s, method, buf, pos, end):
        model = self.model
        row = s.row
        if method < _SLAVE_INSTALL or method > _TRANSFER_KEY:
            return _OBJECT_UNDEFINED
        if method == _SET_ENCRYPTION_KEY:
            return self._set_key(row, buf, pos, end)
        address = slots.octet(model, row, _PRIMARY_ADDRESS)
        if method == _SLAVE_INSTALL:
            if address or buf[pos + 1] and not self.is_free(row, buf[pos + 1]):
                return _OTHER_REASON
        elif not address:
            return _OTHER_REASON
        if method == _TRANSFER_KEY and end - pos != 2 + _KEY_LEN:
            return _OTHER_REASON
        if not self._is_on_bus(row):
            return _HARDWARE_FAULT
        if s.association is not None:
            return _LATER
        if method < _SLAVE_DEINSTALL or method > _SYNCHRONIZE_CLOCK:
            return _OTHER_REASON
        self._want(self.rows.index(row), method)
        return _SUCCESS

    def _want(self, i, method):
        self.wanted[i] |= 1 << method
        self.waits = True

    def _is_on_bus(self, row):
        """Is the slave of a client on a bus that there is: on the port that it names?"""
        if self.bus is None:
            return False
        model = self.model
        port = self.bus.port_row << 4
        return port < 0 or not compare(
            slots.source(model, row, _PORT_REFERENCE),
            slots.offset(model, row, _PORT_REFERENCE) + 2,
            model.objects,
            port + 2,
            6,
        )

    def job(self, a, row, method, octets):
        task = self.bus.begin(row, method, octets)
        while task.result < 0:
            yield
        return task.result, b""

    # --- The key ----------------------------------------------------------------------------

    def _set_key(self, row, buf, pos, end):
        n = end - pos - 2
        if n and n != _KEY_LEN:
            return _OTHER_REASON
        image = self.model.image
        at = self.model.state(row, _KEY)
        if n:
            image[at] = image[at] & _IS_TRANSFERRED | _IS_SET
            copy(image, at + 1, buf, pos + 2, n)
        else:
            fill(image, at, 1 + _KEY_LEN, 0)
        return _SUCCESS

    def key(self, row):
        """The octets of the key, b"" if there is none. Allocates."""
        at = self.model.state(row, _KEY)
        if not self.model.image[at] & _IS_SET:
            return b""
        return bytes(self.model.image[at + 1 : at + 1 + _KEY_LEN])

    def is_key_used(self, row):
        return self.model.image[self.model.state(row, _KEY)] & _IS_USED

    def key_is(self, row, transferred=False, gone=False):
        """The key is in use, was transferred to the slave, or is gone."""
        image = self.model.image
        at = self.model.state(row, _KEY)
        if gone:
            fill(image, at, 1 + _KEY_LEN, 0)
        else:
            image[at] |= _IS_TRANSFERRED if transferred else _IS_USED

    # --- Time -------------------------------------------------------------------------------

    def tick(self, now):
        if self.bus is None:
            return
        model = self.model
        clock = model.handler("clock")
        for i, row in enumerate(self.rows):
            period = slots.double_long_unsigned(model, row, _CAPTURE_PERIOD)
            passed = (now * 60 + clock.second) // period if period else -1
            if passed != self._periods[i]:
                # Not with the start, nor when the period was changed.
                if self._periods[i] >= 0 and passed >= 0 and self._is_on_bus(row):
                    self._want(i, _CAPTURE)
                self._periods[i] = passed


def _are_blocks(buf, pos, end):
    """Is each element a DIB and a VIB, as far as their lengths say? 127 at most, of each."""
    n = buf[pos + 1]
    if n > _MOST:
        return False
    pos += 2
    while n:
        pos += 2
        for _ in range(2):
            if not buf[pos + 1] or buf[pos + 1] > _MOST:
                return False
            pos += 2 + buf[pos + 1]
        n -= 1
    return True
