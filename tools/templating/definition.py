# SPDX-License-Identifier: MIT
"""An XML object list to the text of a definition: one logical device, its objects with values and
rights, and the associations that its Association objects describe.

The rights in a list are those of the client that read it: the one of the current association
0.0.40.0.0.255. Templates of the simulator say beside that what each client sees, with his rights
(ObjectList), secrets and keys. In other lists there are none: what stands in for them is said, and
easily found out: for demos only.
"""

import functools
import json

import tables
from bootstrap import Trouble
from tables import key_places
from tables.notation import STRINGS, logical_name
from tables.source import Document

from . import reading, sources
from .layouts import CLASSES

_ASSOCIATION_LN, _ASSOCIATION_SN, _SECURITY_SETUP, _DATA = 15, 12, 64, 1
_POLICY, _SUITE, _SIGNED = 2, 3, 0x90  # attributes of a Security setup; bits of its policy
_CURRENT, _NAME = "0.0.40.0.0.255", "0.0.42.0.0.255"
_PROFILE, _CLOCK, _ENTRIES = 7, (8, "0.0.1.0.0.255", 2, 0), 100
_LDN = "PMT9000000000001"
# Roles: who has read the list, and all the others; rights on the current association.
_VIEWER, _OTHER = "client", "other"
_OWN = "r:1-6,8-11"
_PUBLIC, _LN, _SN = 16, 1, 2
_LN_CIPHERED = 3
_LLS, _GMAC = 1, 5
_WITH_SECRET = (1, 3, 4, 6)
_LEAST_PDU, _USUAL_PDU, _MOST_PDU = 128, 1024, 4096  # 0 is no limit
_MOST_OBJECTS, _MOST_REPAIRS = 5000, 300
_ROOM = 64  # octets for what a client writes into a string
_CONFORMANCE = (
    "priority-mgmt-supported", "attribute0-supported-with-get", "block-transfer-with-get-or-read",
    "block-transfer-with-set-or-write", "block-transfer-with-action", "multiple-references",
    "get", "set", "selective-access", "action",
)  # fmt: skip
_WITHOUT_LN = ("get", "set", "action", "event-notification", "access")
_IDENTITY = ((_DATA, _NAME), (17, "0.0.41.0.0.255"), (_ASSOCIATION_LN, _CURRENT))

_HEAD = """# Made of {source} by tools/meter.py import.
# An object is a line; rights, associations and limits are what is in the list, or its absence:
# secrets and keys below are no secrets. The keys of this file: tools/tables/definition.py.
name = {name}

[limits]
associations = 5
work_len = {work_len}
max_send_pdu = {max_send}
max_receive_pdu = {max_receive}

[[device]]
name = "meter"
sap = {sap}
"""


_classes = functools.lru_cache(maxsize=None)(tables.load_classes)


class _Line:
    """An object: found (reading.Found), rights (text), views ({client: his rights, where the list
    has them}), secret."""

    def __init__(self, found, rights):
        self.found = found
        self.rights = rights
        self.views = {}
        self.secret = b""


def text(root, name, source):
    """(text of the definition, sentences about what is not in it)"""
    return _Import(root, name, source).text()


class _Import:
    def __init__(self, root, name, source):
        self.name = name
        self.source = source
        self.losses = []
        self.classes = _classes()
        bits = self.classes[_ASSOCIATION_LN].enums["conformance"]
        self.bits = {
            int(bit): text.split(" (")[0] for bit, text in bits.items() if bit.isdecimal()
        }
        self.lines = {}
        self.keys = {}  # of Security setups, by their keys in lines
        for found in reading.objects(root, self.classes, CLASSES, self.losses):
            key = (found.version.class_id, found.name)
            if key in self.lines:
                self.losses.append("%d %s: it comes twice" % key)
                continue
            self.lines[key] = _Line(found, found.rights)
            if len(self.lines) > _MOST_OBJECTS:
                text = "%s: more than %d objects; no meter has so many."
                raise Trouble(text % (source, _MOST_OBJECTS))

    def text(self):
        self.add_what_has_to_be()
        for key, line in self.lines.items():
            if key[0] == _PROFILE:
                self.complete(key, line.found)
        self.associations = self.find_associations()
        if not self.associations:
            self.losses.append("no association that can be had: client %d may all" % _PUBLIC)
            self.associations = [self.association(_PUBLIC, _CURRENT, {})]
            self.associations[0]["role"] = _VIEWER
        self.look_at_setups()
        self.look_at_rights()
        for _ in range(_MOST_REPAIRS):
            lines = self.written()
            try:
                document = Document("\n".join(lines), self.name)
                tables.compile(tables.load_definition(document, self.classes))
                return "\n".join(lines) + "\n", self.losses
            except tables.TableError as e:
                self.leave_out(e)
        text = "%s: more than %d things in it that no definition takes: %s"
        raise Trouble(text % (self.source, _MOST_REPAIRS, self.losses[-1]))

    def leave_out(self, e):
        """What the definition does not take: a value, where the sentence begins with its name;
        else all of them; else the object."""
        key = self.at.get(e.line)
        if key is None:
            raise Trouble("No definition comes of %s: %s." % (self.source, e.message))
        found = self.lines[key].found
        a = found.version.attribute(e.message.split(" ")[0].rstrip(":"))
        if a is not None and found.values.pop(a.index, None) is not None:
            what = "the value is left out"
        elif found.values:
            found.values = {}
            what = "its values are left out"
        else:
            del self.lines[key]
            what = "it is left out"
        self.losses.append("%d %s: %s; %s" % (*key, e.message, what))

    # --- What a definition cannot do without

    def complete(self, key, profile):
        """A profile has columns that are there, and entries."""
        columns = profile.values.get(3, [])
        found = [c for c in columns if (c[0], c[1]) in self.lines]
        for c in columns:
            if c not in found:
                text = "%d %s: column %d %s is no object of the list; it is left out"
                self.losses.append(text % (*key, c[0], c[1]))
        if not found:
            self.losses.append("%d %s: no columns: it has the clock alone" % key)
            found = [list(_CLOCK)]
        profile.values[3] = found
        if not profile.values.get(8):
            self.losses.append("%d %s: no profile_entries: %d" % (*key, _ENTRIES))
            profile.values[8] = _ENTRIES

    def add(self, class_id, name, rights, values=None):
        if (class_id, name) not in self.lines:
            found = reading.Found(self.classes[class_id].current, name)
            found.values = values or {}
            self.lines[class_id, name] = _Line(found, rights)

    def add_what_has_to_be(self):
        if (_DATA, _NAME) not in self.lines:
            self.losses.append("no logical device name %s: it is %s" % (_NAME, _LDN))
        self.add(_DATA, _NAME, "r", {2: {"type": "octet-string", "value": _LDN}})
        if _CLOCK[:2] not in self.lines:
            self.losses.append("no clock %s: there is one" % _CLOCK[1])
        self.add(*_CLOCK[:2], "r")
        if (_ASSOCIATION_LN, _CURRENT) not in self.lines:
            if any(key[0] == _ASSOCIATION_LN for key in self.lines):
                self.losses.append("no current association %s: there is one" % _CURRENT)
            self.add(_ASSOCIATION_LN, _CURRENT, _OWN)
        named = self.lines[_DATA, _NAME].found
        if not isinstance(named.values.get(2), dict) or not named.values[2].get("value"):
            named.values[2] = {"type": "octet-string", "value": _LDN}
            self.losses.append("%d %s: no name: it is %s" % (_DATA, _NAME, _LDN))

    # --- Associations

    def find_associations(self):
        """What the Association objects say, of each client. The viewer is whose rights there are;
        where he is unknown, or cannot be had, all have them who have no ObjectList."""
        viewer = self.lines[_ASSOCIATION_LN, _CURRENT].found.association.get("client_sap")
        rows = [
            (line.found.association, key[1])
            for key, line in self.lines.items()
            if key[0] == _ASSOCIATION_LN and line.found.association.get("client_sap")
        ]
        found = {}
        for about, name in sorted(rows, key=lambda row: row[1] == _CURRENT):
            sap = about["client_sap"]
            if sap not in found:
                found[sap] = self.association(sap, name, about)
        self.viewer = viewer if found.get(viewer) else None
        lists = [about for about, _ in rows if about.get("object_list")]
        if not viewer and not lists and sum(map(bool, found.values())) > 1:
            self.losses.append("nobody knows who has read the list: all clients get its rights")
        if viewer and self.viewer is None:
            self.losses.append("client %d has read the list: all others get its rights" % viewer)
        for sap, a in found.items():
            if a:
                a["role"] = self.role(a)
            if a and a["role"] == _OTHER:
                text = "client %d: its rights are not in the list: it reads who the meter is"
                self.losses.append(text % sap)
        return [a for a in found.values() if a]

    def role(self, a):
        """Whose rights a client has: his own, the viewer's, or those of any other."""
        sap = a["client_sap"]
        seen = self.lines[_ASSOCIATION_LN, a["object"]].found.association.get("object_list")
        if not seen:
            return _VIEWER if self.viewer in (None, sap) else _OTHER
        for tag, header in seen:
            lose = functools.partial(self.lose_of_view, sap, tag, header.get("LN", ""))
            line = self.lines.get((CLASSES.get(tag), header.get("LN")))
            if line is None:
                lose("is no object of the list; it is left out")
                continue
            rights, writes = reading.rights_of(line.found.version, header, lose)
            line.views[sap] = rights
            line.found.writes |= writes
        for name in (_CURRENT, a["object"]):  # his own, under both names
            self.lines[_ASSOCIATION_LN, name].views.setdefault(sap, _OWN)
        return "client_%d" % sap

    def lose_of_view(self, sap, tag, name, what):
        self.losses.append("client %d: %s %s of its ObjectList: %s" % (sap, tag, name, what))

    def association(self, client_sap, name, about):
        context, mechanism = about.get("context") or _LN, about.get("mechanism", 0)
        a = {"client_sap": client_sap, "object": name, "mechanism": mechanism}
        a["application_context"] = context
        a["words"] = [self.bits[k] for k in range(24) if about.get("conformance", 0) >> k & 1]
        a["words"] = [w for w in a["words"] if not w.startswith("reserved")] or list(_CONFORMANCE)
        if context not in (_LN, _LN_CIPHERED) or mechanism not in (0, _GMAC, *_WITH_SECRET):
            why = "context %d, mechanism %d: more than a list tells" % (context, mechanism)
            self.losses.append("client %d: %s; it is left out" % (client_sap, why))
            return None
        if context == _LN_CIPHERED or mechanism == _GMAC:
            a["security"] = self.with_keys(about.get("security"), client_sap)
            if a["security"] is None:
                return None
        if mechanism in _WITH_SECRET:
            line = self.lines[_ASSOCIATION_LN, name]
            secret = about.get("secret") or b"import-%d" % client_sap
            line.secret = secret
            if not about.get("secret"):
                text = 'client %d: its secret is not in the list: it is "%s"'
                self.losses.append(text % (client_sap, secret.decode()))
        return a

    def with_keys(self, name, client_sap):
        """The Security setup of a client that ciphers, now with keys that anybody knows."""
        key = (_SECURITY_SETUP, name)
        if key not in self.lines:
            setups = [k for k in self.lines if k[0] == _SECURITY_SETUP]
            if len(setups) != 1:
                text = "client %d: there is no Security setup %s; it is left out"
                self.losses.append(text % (client_sap, name))
                return None
            key = setups[0]
        if key not in self.keys:
            self.keys[key] = self.keys_of(key)
        return key[1]

    def keys_of(self, key):
        """{role: octets} of a Security setup: those of the list, and others in their places where
        there are none, or the stack takes none of them (tables/key_places.py)."""
        found, where = self.lines[key].found, "Security setup %s: " % key[1]
        size = 32 if found.values.get(_SUITE) == 2 else 16
        keys, made_up = {}, []
        for role in reading.KEYS:
            octets = found.association.get(role)
            if octets and len(octets) != size:
                text = "%s has %d octets, and should have %d; another one stands for it"
                self.losses.append(where + text % (role, len(octets), size))
            elif octets:
                keys[role] = octets
                clash = key_places.clash({**self.keys, key: keys})
                if clash is None:
                    continue
                text = "%s is the %s of %s, too; another one stands for it"
                (_, _), (other, other_role) = clash
                self.losses.append(where + text % (role, other_role, other[1]))
            else:
                made_up.append(role)
            octets = ("IMPORTED %s %d" % (role.upper(), len(self.keys))).encode()
            keys[role] = octets.ljust(size, b".")[:size]
        if made_up:
            text = '%s: not in the list; "%s", and so on, stand for them'
            shown = keys[made_up[0]].decode()
            self.losses.append(where + text % (", ".join(made_up), shown))
        return keys

    def look_at_setups(self):
        """Keys that nobody uses; signatures that a suite does not have."""
        for key, line in self.lines.items():
            if key[0] != _SECURITY_SETUP:
                continue
            if key not in self.keys and any(k in line.found.association for k in reading.KEYS):
                text = "Security setup %s: no client has it: its keys are left out"
                self.losses.append(text % key[1])
            policy = line.found.values.get(_POLICY, 0)
            if (
                line.found.version.version
                and policy & _SIGNED
                and not line.found.values.get(_SUITE)
            ):
                text = "Security setup %s: its policy asks for signatures, which suite 0 has not"
                self.losses.append(text % key[1] + "; they are left out")
                line.found.values[_POLICY] = policy & ~_SIGNED

    def look_at_rights(self):
        """Objects that nobody sees, and registers with nothing behind them."""
        roles = {a["role"] for a in self.associations}
        unseen = [key for key, line in self.lines.items() if not rights_of(key, line, roles)]
        self.losses += ["%d %s: no client sees it" % key for key in unseen]
        found = [x.found for key, x in self.lines.items() if key[0] in sources.SCALER_UNIT]
        still = sum(sources.of(register) is None for register in found)
        if still:
            text = "%d of %d registers keep their values: nothing is behind them here (see source)"
            self.losses.append(text % (still, len(found)))

    # --- The text

    def written(self):
        """Lines; self.at says which object is in which."""
        about = [line.found.association for line in self.lines.values()]
        sizes = {
            key: min(max(max(a.get(key) or 0 for a in about) or _USUAL_PDU, _LEAST_PDU), _MOST_PDU)
            for key in ("max_send", "max_receive")
        }
        sap = next((a["server_sap"] for a in about if a.get("server_sap")), 1)
        head = _HEAD.format(
            source=quoted(self.source),
            name=quoted(self.name),
            sap=sap,
            work_len=sizes["max_send"] + 64,
            **sizes,
        )
        lines = head.splitlines()
        for a in self.associations:
            lines += ["", "[[association]]", 'device = "meter"']
            lines += ["client_sap = %d" % a["client_sap"], 'object = "%s"' % a["object"]]
            lines += ["mechanism = %d" % a["mechanism"]]
            lines += ["application_context = %d" % a["application_context"]]
            if a.get("security"):
                lines.append('security_setup = "%s"' % a["security"])
            lines.append('role = "%s"' % a["role"])
            lines += ["conformance = %s" % quoted(a["words"])]
        groups = {}
        roles = {a["role"] for a in self.associations}
        for key, line in self.lines.items():
            groups.setdefault(rights_of(key, line, roles), "rights_%d" % (len(groups) + 1))
        lines += ["", "[access]"]
        for rights, group in groups.items():
            pairs = ("%s = %s" % (role, quoted(text)) for role, text in rights)
            lines.append("%s = {%s}" % (group, ", ".join(pairs)))
        lines += ["", "[[objects]]", 'device = "meter"', "list = ["]
        self.at = {}
        for key, line in sorted(
            self.lines.items(), key=lambda k: (k[0][0], logical_name(k[0][1]))
        ):
            group = groups[rights_of(key, line, roles)]
            lines.append("    {%s}," % self.object(key, line, group))
            self.at[len(lines)] = key
        return lines + ["]"]

    def object(self, key, line, group):
        found = line.found
        out = 'class = %d, version = %d, obis = "%s", access = "%s"' % (
            key[0], found.version.version, key[1], group,
        )  # fmt: skip
        source = sources.of(found)
        if source:
            out += ', source = "%s"' % source
        if found.note:
            out += ", note = %s" % quoted(found.note)
        values = dict(found.values)
        security = found.association.get("security")
        if 9 in found.version.attributes and security and key[0] == _ASSOCIATION_LN:
            values[9] = security
        room = {}
        for k, value in values.items():
            n = writable_string(found, k, value)
            if n is not None:
                room[k] = max(n, _ROOM)
        if line.secret:
            values[7] = line.secret
            room[7] = max(_ROOM, len(line.secret))
        names = {k: a.name for k, a in found.version.attributes.items()}
        if values:
            pairs = ("%s = %s" % (quoted(names[k]), literal(v)) for k, v in values.items())
            out += ", values = {%s}" % ", ".join(pairs)
        if room:
            pairs = ("%s = %d" % (quoted(names[k]), n) for k, n in room.items())
            out += ", capacity = {%s}" % ", ".join(pairs)
        keys = self.keys.get(key)
        if keys:
            pairs = ('%s = "0x%s"' % (role, k.hex().upper()) for role, k in keys.items())
            out += ", keys = {%s}" % ", ".join(pairs)
        return out


def rights_of(key, line, roles):
    """((role, rights), ...) on an object."""
    rights = {"client_%d" % sap: text for sap, text in line.views.items()}
    rights[_VIEWER] = line.rights
    if key in _IDENTITY:
        rights[_OTHER] = "r:1-6,8"
    return tuple(sorted((role, text) for role, text in rights.items() if role in roles))


def writable_string(found, k, value):
    """Length of a string of any length that clients may write, else None."""
    t = found.version.attributes[k].type
    if isinstance(value, dict):
        t = tables.parse_type(value["type"])
        value = value.get("value", "")
    if t.kind != "simple" or t.tag not in STRINGS or t.tag == 0x04 or t.size or t.most or t.format:
        return None
    if k not in found.writes:
        return None
    return len(t.coerce(value))


def quoted(value):
    """A text, a number, or a list of texts, as TOML."""
    return json.dumps(value).replace("\x7f", "\\u007f")


def literal(raw):
    """What Type.coerce() takes, as TOML."""
    if isinstance(raw, dict):
        return "{%s}" % ", ".join("%s = %s" % (k, literal(v)) for k, v in raw.items())
    if isinstance(raw, (list, tuple)):
        return "[%s]" % ", ".join(literal(v) for v in raw)
    if isinstance(raw, (bytes, bytearray)):
        return '"0x%s"' % raw.hex()
    if isinstance(raw, bool):
        return "true" if raw else "false"
    return quoted(raw)
