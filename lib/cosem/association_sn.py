# SPDX-License-Identifier: MIT
"""Association SN (class 12, versions 0 to 4; IEC 62056-6-2, 4.4.3 and 5.4.1 to 5.4.4).

As Association LN, with base_names: object_list and access_rights_list are written from the object
table and the access rights of the association, an object an item. Its secret is a hidden state.
reply_to_HLS_authentication is dlms/short_names.py's, read_by_logicalname dlms/read.py's.

Not settled in public sources, and here so: get_attributes&methods gives elements as in
access_rights_list; access modes have the bits of Association LN version 3 from version 4 on; the
selectors of object_list (1: class_ids, 2: one object_Id or several) are of all versions but 0,
which has methods for that. get_HLS_challenge of version 0 is read-write-denied: the AARE has the
challenge.

Nothing is allocated.
"""

from cosem import access_rights, association_ln
from dlms.axdr import put_length
from dlms.prim import compare, copy
from micropython import const

_ASSOCIATION_SN = const(12)

# Attributes.
_OBJECT_LIST = const(2)
_ACCESS_RIGHTS_LIST = const(3)
_USER_LIST = const(5)
_CURRENT_USER = const(6)

# Methods.
_GETLIST_BY_CLASSID = const(1)
_GETOBJ_BY_LOGICALNAME = const(2)
_GET_ATTRIBUTES_AND_METHODS = const(4)
_CHANGE_LLS_SECRET = const(5)
_CHANGE_HLS_SECRET = const(6)
_GET_HLS_CHALLENGE = const(7)
_ADD_USER = const(9)
_REMOVE_USER = const(10)

# Versions: the last with methods 1 and 2, and with 4, 6; the first with bits of access.
_LAST_WITH_LISTS = const(0)
_LAST_WITH_TWO_SECRETS = const(2)
_WITH_BITS = const(4)

# Selectors of Association LN, which do here what those of object_list do, and methods.
_BY_CLASS = const(2)
_BY_OBJECT_ID = const(3)
_ONE_OBJECT_ID = const(4)

_SUCCESS = const(0)
_READ_WRITE_DENIED = const(3)
_OBJECT_UNDEFINED = const(4)
_TYPE_UNMATCHED = const(12)
_SCOPE_VIOLATED = const(13)
_OTHER_REASON = const(250)

_ARRAY = const(0x01)
_STRUCTURE = const(0x02)
_OCTET_STRING = const(0x09)
_LONG = const(0x10)
_UNSIGNED = const(0x11)
_LONG_UNSIGNED = const(0x12)

# Fields of a row of ASSOCIATIONS in the definition.
_DEVICE = const(1)
_ROW = const(2)
_MECHANISM = const(3)
_ACCESS = const(6)

_LLS = const(1)
_GMAC = const(5)
_ECDSA = const(7)
_PROTECTED = const(3)

_CURRENT = b"\x00\x00\x28\x00\x00\xff"


class Handler(association_ln.Handler):
    user_list = _USER_LIST
    first_with_users = 3

    def sleeps(self):
        return not any([self._has_users(row) for row in self.model.rows(_ASSOCIATION_SN)])

    def open(self, s):
        if s.attribute != _OBJECT_LIST and s.attribute != _ACCESS_RIGHTS_LIST:
            s.a = self._config(s.row)
            return _SUCCESS if s.a >= 0 else _OBJECT_UNDEFINED
        if s.selector:
            s.selector += 1
            if s.selector == _BY_OBJECT_ID and s.buf[s.sel_pos] == _STRUCTURE:
                s.selector = _ONE_OBJECT_ID
            if not self._selection_is_good(s):
                return _TYPE_UNMATCHED
        return self._begin(s)

    def _begin(self, s):
        """Begin a list of objects: s.selector, s.buf and s.sel_pos say which."""
        i = self._config(s.row)
        if i < 0:
            return _OBJECT_UNDEFINED
        config = self.model.configs[i]
        n = 0
        for at in range(self.model.devices[config[_DEVICE]][2]):
            if self._selected(s, config, at):
                n += 1
        # s.b, s.c: item s.c is the object s.b of the device.
        s.a = i
        s.d = n
        s.n = n + 1
        return _SUCCESS

    def item(self, s, buf, pos):
        config = self.model.configs[s.a]
        if s.attribute == _CURRENT_USER:
            return self._put_current_user(s, config, buf, pos)
        if s.k == 0:
            s.b = -1
            s.c = 0
            buf[pos] = _ARRAY
            return put_length(buf, pos + 1, s.d)
        if s.k != s.c:
            s.c = s.k
            s.b += 1
            while not self._selected(s, config, s.b):
                s.b += 1
        model = self.model
        named = model.devices[config[_DEVICE]][1] + s.b
        row = named
        if compare(model.objects, (named << 4) + 2, _CURRENT, 0, 6) == 0 and (
            model.class_id(named) == model.class_id(config[_ROW])
        ):
            # The current association: the object of this association under its other name.
            row = config[_ROW]
        if s.attribute == _ACCESS_RIGHTS_LIST:
            at = row - model.devices[config[_DEVICE]][1] << 1
            rights = config[_ACCESS][at] << 8 | config[_ACCESS][at + 1]
            version = model.version(s.row)
            # The version of Association LN with the same access modes.
            version = 0 if version == 0 else 3 if version >= _WITH_BITS else 1
            after = access_rights.put(model, row, rights, version, buf, pos + 3)
            buf[pos] = _STRUCTURE
            buf[pos + 1] = 3
            _put_base_name(model, named, buf, pos + 2)
            return after
        buf[pos] = _STRUCTURE
        buf[pos + 1] = 4
        _put_base_name(model, named, buf, pos + 2)
        buf[pos + 5] = _LONG_UNSIGNED
        copy(buf, pos + 6, model.objects, row << 4, 2)
        buf[pos + 8] = _UNSIGNED
        buf[pos + 9] = model.version(row)
        buf[pos + 10] = _OCTET_STRING
        buf[pos + 11] = 6
        copy(buf, pos + 12, model.objects, (named << 4) + 2, 6)
        return pos + 18

    def invoke(self, s, method, buf, pos, end):
        model = self.model
        version = model.version(s.row)
        if method <= _GETOBJ_BY_LOGICALNAME:
            if version > _LAST_WITH_LISTS:
                return _OBJECT_UNDEFINED
            by_class = method == _GETLIST_BY_CLASSID
            return self._list(
                s, _OBJECT_LIST, _BY_CLASS if by_class else _BY_OBJECT_ID, buf, pos, end
            )
        if method == _GET_ATTRIBUTES_AND_METHODS:
            if version > _LAST_WITH_TWO_SECRETS:
                return _OBJECT_UNDEFINED
            return self._list(s, _ACCESS_RIGHTS_LIST, _BY_OBJECT_ID, buf, pos, end)
        if method == _CHANGE_LLS_SECRET:
            return self._change(s, version > _LAST_WITH_TWO_SECRETS, False, buf, pos, end)
        if method == _CHANGE_HLS_SECRET:
            if version > _LAST_WITH_TWO_SECRETS:
                return _OBJECT_UNDEFINED
            return self._change(s, False, True, buf, pos, end)
        if method == _ADD_USER or method == _REMOVE_USER:
            return self.change_user(s.row, method == _ADD_USER, buf, pos, end)
        if method == _GET_HLS_CHALLENGE and version > 0:
            return _OBJECT_UNDEFINED
        # reply_to_HLS_authentication has its place before the association is open, and
        # read_by_logicalname in a Read alone.
        return _READ_WRITE_DENIED

    def _list(self, s, attribute, selector, buf, pos, end):
        """Return data as items: as of an attribute, for the objects that are asked for."""
        s.attribute = attribute
        s.selector = selector
        s.buf = buf
        s.sel_pos = pos
        s.sel_end = end
        return self._begin(s)

    def _change(self, s, either, by_hls, buf, pos, end):
        """A new secret, for the next association. That of high level security is changed by a
        client that nobody can listen to, as with Association LN."""
        i = self._config(s.row)
        mechanism = self.model.configs[i][_MECHANISM] if i >= 0 else 0
        has_hls = mechanism > _LLS and mechanism != _GMAC and mechanism != _ECDSA
        if mechanism != _LLS and not has_hls or not either and by_hls != has_hls:
            return _READ_WRITE_DENIED
        a = s.association
        if has_hls and (a is None or a.protection & _PROTECTED != _PROTECTED):
            return _SCOPE_VIOLATED
        secret = self.model.secret(s.row)
        if buf[pos + 1] == 0 or end - pos > self.model.capacity(s.row, secret):
            return _OTHER_REASON
        return self.model.store(s.row, secret, buf, pos, end)


def _put_base_name(model, row, buf, pos):
    buf[pos] = _LONG
    copy(buf, pos + 1, model.objects, (row << 4) + 14, 2)
