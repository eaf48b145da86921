# SPDX-License-Identifier: MIT
"""Association LN (class 15, versions 0 to 3; IEC 62056-6-2, 4.4.4 and 5.4.5 to 5.4.7).

object_list is written from the object table and the access rights of the association, one object
an item. The current association, 0.0.40.0.0.255, stands for the object of the association that
asks: it shows that object's version and rights under its own logical name. add_object and
remove_object are cosem/visible_objects.py's. Nothing but start() allocates.
"""

from cosem import access_rights
from cosem.handler import Handler as Base
from dlms.axdr import get_u16, length, length_size, put_length
from dlms.prim import compare, copy
from micropython import const

_ASSOCIATION_LN = const(15)

# Attributes.
_OBJECT_LIST = const(2)
_ASSOCIATED_PARTNERS_ID = const(3)
_APPLICATION_CONTEXT_NAME = const(4)
_XDLMS_CONTEXT_INFO = const(5)
_AUTHENTICATION_MECHANISM_NAME = const(6)
_SECRET = const(7)
_ASSOCIATION_STATUS = const(8)
_CURRENT_USER = const(11)

# Methods.
_CHANGE_HLS_SECRET = const(2)
_ADD_OBJECT = const(3)
_REMOVE_OBJECT = const(4)
_ADD_USER = const(5)

# Access selectors of object_list. What selector 4 returns for its one object is not settled in
# public sources; here it is an array of one, the type of the attribute.
_WITHOUT_RIGHTS = const(1)
_BY_CLASS = const(2)
_BY_OBJECT_ID = const(3)
_ONE_OBJECT_ID = const(4)

_LATER = const(-1)
_SUCCESS = const(0)
_READ_WRITE_DENIED = const(3)
_OBJECT_UNDEFINED = const(4)
_TYPE_UNMATCHED = const(12)
_SCOPE_VIOLATED = const(13)
_OTHER_REASON = const(250)
_LONGEST_SECRET = const(64)

_NULL_DATA = const(0x00)
_ARRAY = const(0x01)
_STRUCTURE = const(0x02)
_OCTET_STRING = const(0x09)
_VISIBLE_STRING = const(0x0A)
_INTEGER = const(0x0F)
_UNSIGNED = const(0x11)
_LONG_UNSIGNED = const(0x12)
_ENUM = const(0x16)

# Fields of a row of ASSOCIATIONS in the definition.
_CLIENT_SAP = const(0)
_DEVICE = const(1)
_ROW = const(2)
_MECHANISM = const(3)
_CONFORMANCE = const(4)
_MAX_PDU = const(5)
_ACCESS = const(6)
_CONTEXT = const(7)
_CHANGES = const(11)
_HIDDEN = const(0xFFFF)  # of _ACCESS

_CONTEXT_ARC = const(1)
_MECHANISM_ARC = const(2)

# Mechanisms without a secret of their own, or with another one.
_LLS = const(1)
_GMAC = const(5)
_ECDSA = const(7)

# Of a request: authenticated and encrypted.
_PROTECTED = const(3)

# States of dlms.association.
_PENDING = const(1)
_OPEN = const(2)

_OBJECT_ID_LEN = const(13)  # structure, long-unsigned, octet-string[6]
_CURRENT = b"\x00\x00\x28\x00\x00\xff"
# 2.16.756.5.8 as octets of an object identifier, and as the structure of the Blue Book.
_OID = b"\x09\x07\x60\x85\x74\x05\x08"
# xDLMS_context_info: conformance, the two sizes, DLMS version 6, quality of service, no ciphering.
_CONTEXT_INFO = b"\x02\x06\x04\x18\0\0\0\x12\0\0\x12\0\0\x11\x06\x0f\0\x09\0"
_OID_STRUCTURE = b"\x02\x07\x11\x02\x11\x10\x12\x02\xf4\x11\x05\x11\x08\x11"


class Handler(Base):
    # Association SN, which has this as its base, has others.
    user_list = 10  # attribute
    first_with_users = 2  # version

    def _config(self, row):
        """Index in ASSOCIATIONS of the association that object row describes, or -1."""
        i = 0
        for config in self.model.configs:
            if config[_ROW] == row:
                return i
            i += 1
        return -1

    def start(self, row):
        i = self._config(row)
        if i >= 0 and self.model.configs[i][_CHANGES]:
            self.model.load("cosem.visible_objects").prepare(self.model, row)

    def open(self, s):
        i = self._config(s.row)
        if i < 0:
            return _OBJECT_UNDEFINED
        s.a = i
        if s.attribute != _OBJECT_LIST:
            return _SUCCESS
        if not self._selection_is_good(s):
            return _TYPE_UNMATCHED
        # s.b, s.c: item s.c is the object s.b of the device. s.d: how many are selected.
        config = self.model.configs[i]
        n = 0
        for at in range(self.model.devices[config[_DEVICE]][2]):
            if self._selected(s, config, at):
                n += 1
        s.b = -1
        s.c = 0
        s.d = n
        s.n = n + 1
        return _SUCCESS

    def item(self, s, buf, pos):
        config = self.model.configs[s.a]
        attribute = s.attribute
        if attribute == _OBJECT_LIST:
            return self._object_list(s, config, buf, pos)
        if attribute == _ASSOCIATED_PARTNERS_ID:
            buf[pos] = _STRUCTURE
            buf[pos + 1] = 2
            buf[pos + 2] = _INTEGER
            buf[pos + 3] = config[_CLIENT_SAP] & 0xFF
            return _put_long_unsigned(buf, pos + 4, self.model.devices[config[_DEVICE]][0])
        if attribute == _APPLICATION_CONTEXT_NAME:
            return self._put_oid(s.row, buf, pos, _CONTEXT_ARC, config[_CONTEXT])
        if attribute == _AUTHENTICATION_MECHANISM_NAME:
            return self._put_oid(s.row, buf, pos, _MECHANISM_ARC, config[_MECHANISM])
        if attribute == _XDLMS_CONTEXT_INFO:
            send = self.model.limits[2]
            return _put_context_info(buf, pos, config[_CONFORMANCE], config[_MAX_PDU], send)
        if attribute == _ASSOCIATION_STATUS:
            buf[pos] = _ENUM
            buf[pos + 1] = self._status(config)
            return pos + 2
        if attribute == _CURRENT_USER:
            return self._put_current_user(s, config, buf, pos)
        return -1

    def check(self, row, attribute, buf, pos, end):
        # The secret: none would open nothing, and a longer one could not be sent.
        return _SUCCESS if 1 <= buf[pos + 1] <= _LONGEST_SECRET else _OTHER_REASON

    def sleeps(self):
        # Where there are users, is_user() has to be there.
        return not any([self._has_users(row) for row in self.model.rows(_ASSOCIATION_LN)])

    def invoke(self, s, method, buf, pos, end):
        if method == _CHANGE_HLS_SECRET:
            return self._change_secret(s, buf, pos, end)
        if method >= _ADD_USER:
            return self.change_user(s.row, method == _ADD_USER, buf, pos, end)
        if method == _ADD_OBJECT or method == _REMOVE_OBJECT:
            objects = self.model.part("cosem.visible_objects")
            if objects is None:
                return _LATER
            return objects.change(self.model, s.row, method == _ADD_OBJECT, buf, pos, end)
        # reply_to_HLS_authentication has its place in an HLS association only.
        return _READ_WRITE_DENIED

    def _change_secret(self, s, buf, pos, end):
        """By a client that nobody can listen to; for the next association."""
        if s.association is None or s.association.protection & _PROTECTED != _PROTECTED:
            return _SCOPE_VIOLATED
        i = self._config(s.row)
        mechanism = self.model.configs[i][_MECHANISM] if i >= 0 else 0
        if mechanism <= _LLS or mechanism == _GMAC or mechanism == _ECDSA:
            return _READ_WRITE_DENIED
        return self.model.write(s.row, _SECRET, buf, pos, end)

    def _status(self, config):
        status = 0
        for a in self.model.associations:
            if a.config is config:
                if a.state == _OPEN:
                    return 2
                if a.state == _PENDING:
                    status = 1
        return status

    # --- Users ------------------------------------------------------------------------------

    def change_user(self, row, add, buf, pos, end):
        users = self.model.part("cosem.users")
        if users is None:
            return _LATER
        change = users.add if add else users.remove
        return change(self.model, row, self.user_list, buf, pos, end)

    def is_user(self, row, user_id):
        """May this user (-1: none was named) use the association? All may, where there is no
        user_list or an empty one."""
        return not self._has_users(row) or self._find_user(row, user_id) >= 0

    def _has_users(self, row):
        model = self.model
        return (
            model.version(row) >= self.first_with_users
            and model.value_len(row, self.user_list) > 2
        )

    def _find_user(self, row, user_id):
        """Position of a user, a structure of unsigned and visible-string, in user_list, or -1.
        Where the list is in ROM, nobody may change it."""
        model = self.model
        src = self._users(row)
        pos = model.place(row, self.user_list)
        end = pos + 2 + model.value_len(row, self.user_list)
        pos += 3 + length_size(src, pos + 3)
        while pos < end:
            if src[pos + 3] == user_id:
                return pos
            pos += 5
            pos += length_size(src, pos) + length(src, pos, end)
        return -1

    def _users(self, row):
        return self.model.image if self.model.slot(row, self.user_list) >= 0 else self.model.rom

    def _put_current_user(self, s, config, buf, pos):
        """The user of the association that asks, or that is open; 0 and no name if it named none,
        or there is none."""
        row = s.row
        user_id = 0
        at = -1
        a = s.association
        if a is None or a.config is not config:
            a = None
            for other in self.model.associations:
                if other.config is config and other.state == _OPEN:
                    a = other
        if a is not None and a.user >= 0:
            user_id = a.user
            at = self._find_user(row, user_id)
        buf[pos] = _STRUCTURE
        buf[pos + 1] = 2
        buf[pos + 2] = _UNSIGNED
        buf[pos + 3] = user_id
        buf[pos + 4] = _VISIBLE_STRING
        buf[pos + 5] = 0
        if at < 0:
            return pos + 6
        src = self._users(row)
        n = length_size(src, at + 5) + length(src, at + 5, len(src))
        copy(buf, pos + 5, src, at + 5, n)
        return pos + 5 + n

    def _put_oid(self, row, buf, pos, arc, last):
        if self.model.version(row) == 0:
            copy(buf, pos, _OID_STRUCTURE, 0, 14)
            buf[pos + 14] = arc
            buf[pos + 15] = _UNSIGNED
            buf[pos + 16] = last
            return pos + 17
        copy(buf, pos, _OID, 0, 7)
        buf[pos + 7] = arc
        buf[pos + 8] = last
        return pos + 9

    # --- object_list ------------------------------------------------------------------------

    def _selection_is_good(self, s):
        """True if the parameter of the selector has the right form."""
        buf = s.buf
        pos = s.sel_pos
        if s.selector == 0:
            return True
        if s.selector == _WITHOUT_RIGHTS:
            return buf[pos] == _NULL_DATA
        if s.selector == _ONE_OBJECT_ID:
            return _is_object_id(buf, pos, s.sel_end)
        if buf[pos] != _ARRAY:
            return False
        n = length(buf, pos + 1, s.sel_end)
        pos += 1 + length_size(buf, pos + 1)
        while n:
            if s.selector == _BY_CLASS:
                if buf[pos] != _LONG_UNSIGNED:
                    return False
                pos += 3
            else:
                if not _is_object_id(buf, pos, s.sel_end):
                    return False
                pos += _OBJECT_ID_LEN
            n -= 1
        return True

    def _selected(self, s, config, at):
        """Is object at of the device visible to the association, and asked for?"""
        access = config[_ACCESS]
        if get_u16(access, 2 * at) == _HIDDEN:
            return False
        if s.selector < _BY_CLASS:
            return True
        row = self.model.devices[config[_DEVICE]][1] + at << 4
        objects = self.model.objects
        buf = s.buf
        pos = s.sel_pos
        if s.selector == _ONE_OBJECT_ID:
            return _is_named(objects, row, buf, pos)
        n = length(buf, pos + 1, s.sel_end)
        pos += 1 + length_size(buf, pos + 1)
        while n:
            if s.selector == _BY_CLASS:
                if get_u16(buf, pos + 1) == get_u16(objects, row):
                    return True
                pos += 3
            else:
                if _is_named(objects, row, buf, pos):
                    return True
                pos += _OBJECT_ID_LEN
            n -= 1
        return False

    def _object_list(self, s, config, buf, pos):
        if s.k == 0:
            buf[pos] = _ARRAY
            return put_length(buf, pos + 1, s.d)
        if s.k != s.c:
            s.c = s.k
            s.b += 1
            while not self._selected(s, config, s.b):
                s.b += 1
                if s.b == self.model.devices[config[_DEVICE]][2]:
                    return -1  # an object was removed meanwhile
        model = self.model
        named = model.devices[config[_DEVICE]][1] + s.b
        row = named
        at = s.b
        if compare(model.objects, (named << 4) + 2, _CURRENT, 0, 6) == 0:
            # The current association: the object of this association under its other name.
            row = config[_ROW]
            at = row - model.devices[config[_DEVICE]][1]
        rights = get_u16(config[_ACCESS], 2 * at)
        if rights == _HIDDEN:
            return -1  # removed meanwhile, half written
        buf[pos] = _STRUCTURE
        buf[pos + 1] = 3 if s.selector == _WITHOUT_RIGHTS else 4
        buf[pos + 2] = _LONG_UNSIGNED
        copy(buf, pos + 3, model.objects, row << 4, 2)
        buf[pos + 5] = _UNSIGNED
        buf[pos + 6] = model.version(row)
        buf[pos + 7] = _OCTET_STRING
        buf[pos + 8] = 6
        copy(buf, pos + 9, model.objects, (named << 4) + 2, 6)
        pos += 15
        if s.selector == _WITHOUT_RIGHTS:
            return pos
        return access_rights.put(model, row, rights, model.version(s.row), buf, pos)


def _put_long_unsigned(buf, pos, value):
    buf[pos] = _LONG_UNSIGNED
    buf[pos + 1] = value >> 8
    buf[pos + 2] = value & 0xFF
    return pos + 3


def _put_context_info(buf, pos, conformance, max_receive_pdu, max_send_pdu):
    copy(buf, pos, _CONTEXT_INFO, 0, 19)
    copy(buf, pos + 4, conformance, 1, 3)
    _put_long_unsigned(buf, pos + 7, max_receive_pdu)
    _put_long_unsigned(buf, pos + 10, max_send_pdu)
    return pos + 19


def _is_object_id(buf, pos, end):
    """True if a structure of class_id and logical_name stands at pos."""
    return (
        pos + _OBJECT_ID_LEN <= end
        and buf[pos] == _STRUCTURE
        and buf[pos + 1] == 2
        and buf[pos + 2] == _LONG_UNSIGNED
        and buf[pos + 5] == _OCTET_STRING
        and buf[pos + 6] == 6
    )


def _is_named(objects, row, buf, pos):
    """True if the object_Id at pos names the object at objects[row:]."""
    return (
        compare(objects, row, buf, pos + 3, 2) == 0
        and compare(objects, row + 2, buf, pos + 7, 6) == 0
    )
