# SPDX-License-Identifier: MIT
"""COSEM objects (DLMS UA 1001-6): COSEM_X_Y, the checks of every attribute of every object that an
association sees, for class X in version Y. several.py has those of several objects.

more(player) gives the cases one after the other: which there are, the object lists say.
"""

from decoding.axdr import decode_data

from .case import Case, expect, fail, inconclusive
from .data_types import fits, version, wrong_data
from .session import dotted, obis, result

GROUP = "objects"
_REFERENCE = "DLMS UA 1001-6 (ATS_AL), 7.2; IEC 62056-6-2: "
CASES = []
LIST = "COSEM_LIST"

ASSOCIATION_LN, PROFILE = 15, 7
CURRENT = "0.0.40.0.0"
# Whose attributes are not written: associations and keys, profiles, whose rows would go (7.3.4.1),
# images, and where the meter can be reached.
_NOT_WRITTEN = (7, 12, 15, 17, 18, 19, 23, 41, 42, 43, 45, 48, 64)
_COUNTERS = b"\0\0\x2b\x01"
_MOST_ROWS = 100
_REGISTER = 3
_ANY_LAST_OCTET = {"octet-string", "visible-string", "unsigned", "long-unsigned",
                   "double-long-unsigned", "integer", "long", "double-long"}  # fmt: skip
_ROOM = 40  # octets of a SET around its data
_MOST_FINDINGS = 8
_NOT_NOW = (1, 2, 250)  # hardware-fault, temporary-failure, other-reason
_VERSION_3 = 3


class Object:
    """class_id, version, name, and {index: mode} of attributes and methods."""

    def __init__(self, node):
        self.class_id, self.version, self.name = (child.value for child in node.children[:3])
        rights = node.children[3].children
        self.attributes = {a[0].value: a[1].value for a in rights[0].children}
        self.methods = {m[0].value: m[1].value for m in rights[1].children}

    def __str__(self):
        return "%d/%s" % (self.class_id, dotted(self.name))


class Objects(list):
    """What an association sees; lists_v: the version of its Association LN."""

    def __init__(self, octets):
        node = decode_data(octets)
        faults = node.faults()
        if faults:
            fail("The object_list cannot be decoded: %s." % faults[0][1])
        expect(node.type == "array", "The object_list is %s; expected an array." % node.type)
        try:
            super().__init__(Object(child) for child in node.children)
        except (IndexError, ValueError, TypeError):
            fail("An element of the object_list is no class_id, version, logical_name and rights.")
        own = [o for o in self if o.class_id == ASSOCIATION_LN and o.name == obis(CURRENT)]
        self.list_version = own[0].version if own else 0

    def can_read(self, mode):
        if self.list_version >= _VERSION_3:
            return bool(mode & 1)
        return (mode or 0) in (1, 3, 4, 6)

    def can_write(self, mode):
        if self.list_version >= _VERSION_3:
            return bool(mode & 2)
        return (mode or 0) in (2, 3, 5, 6)

    def wants_protection(self, mode):
        """Has a request to be authenticated, encrypted or signed for this right?"""
        if self.list_version >= _VERSION_3:
            return bool((mode or 0) >> 2 & 7)
        return (mode or 0) in (4, 5, 6)

    def find(self, class_id, name=None):
        return [o for o in self if o.class_id == class_id and name in (None, dotted(o.name))]


def who(entry):
    return "client %d at server %d" % (entry["client_sap"], entry["server_sap"])


def key(entry):
    return entry["client_sap"], entry["server_sap"]


def objects(t, entry):
    """Objects of an association; read once, by the first case that asks."""
    found = t.target.objects.get(key(entry))
    if found is None:
        s = t.session(entry).ready()
        status, data = s.get(ASSOCIATION_LN, CURRENT, 2)
        s.leave()
        if status:
            inconclusive("The object_list cannot be read: %s." % result(status))
        found = t.target.objects[key(entry)] = Objects(data)
    return found


def open_list(entry):
    """The case that reads an object_list."""

    def play(t):
        """GET of object_list of the current association: an array of class_id, version,
        logical_name and access rights, none of them twice, the association itself among them."""
        found = objects(t, entry)
        seen = {(o.class_id, o.name) for o in found}
        expect(len(seen) == len(found), "Objects are in the list twice.")
        expect(
            found.find(ASSOCIATION_LN, dotted(obis(CURRENT))),
            "The current association is not in its own list.",
        )
        return "%d objects" % len(found)

    case = Case(LIST, "object_list of %s" % who(entry), _REFERENCE + "object_list",
                GROUP, (), play)  # fmt: skip
    return case


def of_class(entry, class_id, number, mine):
    """COSEM_X_Y for the objects of a class in a version."""
    known = version(class_id, number)

    def play(t):
        """For each attribute of each object: what may be read is read, and has the type (and the
        values of an enumeration) that the Blue Book says, and logical_name is that of the list;
        what may not be read is refused. What may be written, and does not change by itself, is
        written as it was read, and reads the same then; a value of another type is refused; what
        may not be written is refused."""
        if known is None:
            inconclusive("Class %d version %d is not in the class files." % (class_id, number))
        check = Check(t, entry, known)
        for o in mine:
            check.object(o)
        return check.verdict(len(mine))

    name = known.name if known else "class %d" % class_id
    title = "%s, version %d: %s" % (name, number, who(entry))
    return Case("COSEM_%d_%d" % (class_id, number), title, _REFERENCE + name, GROUP, (), play)


class Check:
    """The attribute checks of an association; what is wrong is gathered."""

    def __init__(self, t, entry, known):
        self.t, self.known = t, known
        self.all = objects(t, entry)
        self.s = t.session(entry).ready()
        self.sets = self.s.has("set") and t.may > 0
        self.findings, self.unsure = [], []
        self.n_read = self.n_written = self.n_refused = 0

    def verdict(self, n_objects):
        if self.findings:
            more = len(self.findings) - _MOST_FINDINGS
            text = "; ".join(self.findings[:_MOST_FINDINGS])
            fail("%s%s." % (text, "; and %d more" % more if more > 0 else ""))
        if self.unsure:
            inconclusive("%s." % "; ".join(self.unsure[:_MOST_FINDINGS]))
        return "%d objects: %d attributes read, %d written, %d refusals" % (
            n_objects, self.n_read, self.n_written, self.n_refused,
        )  # fmt: skip

    def object(self, o):
        for index, mode in o.attributes.items():
            if index < 1:
                continue  # those of the manufacturer are nobody else's business
            attribute = self.known.attributes.get(index)
            where = "%s/%d" % (o, index)
            if attribute is None:
                self.findings.append("%s: version %d has no such attribute" % (where, o.version))
                continue
            self.attribute(o, index, mode, attribute, "%s %s" % (where, attribute.name))
        missing = [str(index) for index in self.known.attributes if index not in o.attributes]
        if missing:
            which = "%s %s" % ("attribute" if len(missing) == 1 else "attributes",
                               ", ".join(missing))  # fmt: skip
            self.findings.append("%s: the list has no rights of %s" % (o, which))
        for index in o.methods:
            if index > 0 and index not in self.known.methods:
                self.findings.append("%s: version %d has no method %d" % (o, o.version, index))

    def attribute(self, o, index, mode, attribute, where):
        data = None
        selection = self.rows(o, index)
        status, got = self.s.get(o.class_id, o.name, index, selection)
        if not self.all.can_read(mode):
            self.n_refused += 1
            if status == 0:
                self.findings.append("%s: it can be read, and must not be" % where)
        elif status and self.all.wants_protection(mode) and not self.s.kind:
            self.n_refused += 1
        elif status:
            self.findings.append("%s: GET says %s" % (where, result(status)))
        else:
            data = got
            self.n_read += 1
            wrong = fits(decode_data(data), attribute.type, "value")
            if wrong:
                self.findings.append("%s: %s" % (where, wrong))
            if index == 1 and data != b"\x09\x06" + o.name:
                self.findings.append("%s: %s, and not its own name" % (where, data.hex(" ")))
        if self.sets:
            if not self.all.can_write(mode):
                self.not_written(o, index, data, where)
            elif data is not None:
                self.written(o, index, data, attribute, where)

    def rows(self, o, index):
        """Selective access for a long buffer: its first rows."""
        if o.class_id != PROFILE or index != 2 or not self.s.has("selective-access"):
            return b""
        status, data = self.s.get(PROFILE, o.name, 7)
        if status or int.from_bytes(data[1:5], "big") <= _MOST_ROWS:
            return b""
        return by_entry(1, _MOST_ROWS)

    def not_written(self, o, index, data, where):
        self.n_refused += 1
        if not data or len(data) + _ROOM > (self.s.max_pdu or 0xFFFF):
            data = b"\0"
        status = self.s.put(o.class_id, o.name, index, data)
        if status == 0:
            self.findings.append("%s: it can be written, and must not be" % where)

    def written(self, o, index, data, attribute, where):
        too_long = len(data) + _ROOM > (self.s.max_pdu or 0xFFFF)
        if o.class_id in _NOT_WRITTEN or attribute.kind == "dynamic" or too_long:
            return
        if o.name[:4] == _COUNTERS or data == b"\0":
            return  # an invocation counter must not go back; null-data: nothing has been set
        self.n_written += 1
        status = self.s.put(o.class_id, o.name, index, data)
        if status:
            # What depends on the state of the meter is no fault.
            where = "%s: SET of its own value says %s" % (where, result(status))
            (self.unsure if status in _NOT_NOW else self.findings).append(where)
            return
        wrong = wrong_data(attribute.type)
        if wrong is not None:
            self.n_refused += 1
            status = self.s.put(o.class_id, o.name, index, wrong)
            if status == 0:
                self.findings.append("%s: it takes %s" % (where, wrong.hex(" ")))
                self.s.put(o.class_id, o.name, index, data)
        # A Data object may show what changes by itself.
        if attribute.kind == "static" and self.s.get(o.class_id, o.name, index) != (0, data):
            self.findings.append("%s: it reads other than it was written" % where)


def more(player):
    """All cases of objects, one association after the other."""
    target = player.target
    for entry in target.playable():
        yield open_list(entry)
        found = target.objects.get(key(entry), ())
        classes = {}
        for o in found:
            classes.setdefault((o.class_id, o.version), []).append(o)
        for class_id, number in sorted(classes):
            yield of_class(entry, class_id, number, classes[class_id, number])


def by_entry(first, last, from_column=1, to_column=0):
    """Selective access by entry_descriptor."""
    return (
        b"\x02\x02\x04\x06" + first.to_bytes(4, "big") + b"\x06" + last.to_bytes(4, "big")
        + b"\x12" + from_column.to_bytes(2, "big") + b"\x12" + to_column.to_bytes(2, "big")
    )  # fmt: skip


def other(data, by=1):
    """The same value with another last octet."""
    return data[:-1] + bytes((data[-1] ^ by,))


def settable(t, entry, n):
    """Up to n short attributes that an association may read and write, and that are as they were
    written then: Data and Register. They are as before."""
    known = t.target.settable.get(key(entry), ())
    if len(known) >= n:
        return known
    found = objects(t, entry)
    s = t.session(entry).ready()
    mine = []
    for o in found.find(1) + found.find(_REGISTER):
        mode = o.attributes.get(2, 0)
        if len(mine) == n or not s.has("set"):
            break
        if not (found.can_read(mode) and found.can_write(mode)):
            continue
        status, data = s.get(o.class_id, o.name, 2)
        if status or decode_data(data).type not in _ANY_LAST_OCTET or not 2 < len(data) < 40:
            continue
        if s.put(o.class_id, o.name, 2, other(data)) == 0:
            same = s.get(o.class_id, o.name, 2) == (0, other(data))
            s.put(o.class_id, o.name, 2, data)
            if same:
                mine.append((o.class_id, o.name, 2))
    s.leave()
    t.target.settable[key(entry)] = mine
    return mine
