# SPDX-License-Identifier: MIT
"""Reads a meter definition: one TOML file that says what a meter is.

    include = "..."                    another definition that all this comes behind, see source.py
    name = "..."                       of the definition
    [limits]                           associations, work_len, max_send_pdu, max_receive_pdu,
                                       gbt_len (buffers of a general block transfer: the longest
                                       request, and the octets of a window; the longer PDU if not
                                       said), outbox_len (octets of notifications that wait to be
                                       sent; likewise), outbox_keep ("oldest" or "newest" of them,
                                       when it is full; the newest if not said), look_up (may
                                       it be sent to a host that has a name? yes if not said),
                                       late_len (octets for values that are hardly ever changed,
                                       which are in ROM until they are, see cosem/model.py: each
                                       takes its capacity and 6; if not said, all are in RAM)
    [[device]]                         a logical device: name, sap
    [access]                           group of objects -> {role = rights}
    [[association]]                    device, client_sap, object (its Association LN), mechanism,
                                       role, conformance (names), max_pdu, application_context
                                       (1 LN, 2 SN, 3 and 4: with ciphering; SN has an object of
                                       Association SN), security_setup (logical name
                                       of the object with its keys), pre_established (true: open
                                       from the start, and never released)
    [[gateway]]                        a meter, or meters, behind this one: network_id, link
                                       (["wrapper-tcp", address, port], ["hdlc-tty", path, baud],
                                       on a board ["hdlc-uart", number, baud]),
                                       physical_device_address ("0x...", the only one that is
                                       there; any if left out), time_out (seconds that an answer
                                       may take, 10)
    [mbus]                             the M-Bus, see firmware/links/mbus.py: link (["tcp", host,
                                       port], ["tty", path, bauds], on a board ["uart", number,
                                       bauds])
    [lon]                              key of protected messages on an ISO/IEC 14908 network, see
                                       firmware/links/lon_secure.py: key ("0x...", 16 octets),
                                       only (true: no other messages are served)
    [metrology], [[pulse]], [display]  of the board around the meter, see fittings.py
    [optical]                          the local port of IEC 62056-21, see optical.py
    [update]                           maker_key ("0x...", 64 octets: the public key of P-256 whose
                                       images of firmware a meter of this definition takes, if no
                                       provisioning record says another)
    [[objects]]                        keys common to the lines of `list`; a line is an object

Keys of an object beside the names of its attributes (which give their initial values):
    class, version   name or number; version: the current one when left out
    device           name, or list of names: the object in each of them
    obis             logical_name; F is 255 when left out
    access           group of [access]
    data_type        type of the attributes that the class leaves open (value, ...), or
                     data_types = {attribute = type}
    scaler, unit     scaler_unit
    source           what the meter program feeds into attribute 2; of a Push setup: what it does
                     when something happens; of a Token gateway: which tokens it takes; see
                     sources.py of the firmware
    capacity         {attribute = n}: room for n characters, or n elements; "n octets" of encoding.
                     Of Compact data for octets of compact_buffer and template_description, too;
                     of Association LN object_list: how many objects add_object and remove_object
                     may change
    volatile         true: not saved; ram = [attribute]: the meter program patches it
    row_len          octets of a profile's row, when more than its columns need now
    compression      of a profile's buffer: ["null-data"], ["null-data", "delta"] (which are in
                     cosem/profile_compression.py) or ["compact-array"] (profile_compact_array.py)
    base_name        short name; assigned where it is left out and short names are used
    secret           of Association SN (of Association LN it is an attribute); its capacity is 64
                     where it is given, else 0
    values           {attribute = value} where an attribute has the name of a key above
    each             {x = [1, 2]} or {x = "1..4"}: a line for many; {x} in its texts is replaced.
                     Lists of one table go side by side; a list of tables: every combination
    keys             of a Security setup: {guek, gak, gbek, kek = "0x..."}, for demo meters; see
                     key_places.py for which of them may be the same
    certificates     of a Security setup: names of PEM files, see certificates.py
    note             for people

Rights: r w x, each for all (r: all attributes, w: those that the class lets be written, x: all
methods), or for the indexes after a colon: "r:1-6,8 w:7 x". A role that is not named does not see
the group's objects. After each, how the APDUs have to be protected at least, a authenticated,
e encrypted, s digitally signed: the request after a question mark, the response after an
exclamation mark. "r w?ae!a x:1?aes!aes". An attribute has one access_mode, for r and w together:
what one asks for holds for the other.
"""

import re

from . import key_places, names, source
from .classes import keys, load_classes, one_of, units
from .notation import INTEGERS, Typed, logical_name, obis, parse_type

_TOP = {"name": (str, True), "limits": (dict, True), "device": (list, True),
        "access": (dict, True), "association": (list, True), "objects": (list, True),
        "gateway": (list, False), "metrology": (dict, False), "pulse": (list, False),
        "display": (dict, False), "optical": (dict, False), "lon": (dict, False),
        "update": (dict, False),
        "mbus": (dict, False)}  # fmt: skip
_LIMITS = {"associations": (int, True), "work_len": (int, True), "max_send_pdu": (int, True),
           "max_receive_pdu": (int, True), "gbt_len": (int, False),
           "outbox_len": (int, False), "outbox_keep": (str, False),
           "look_up": (bool, False), "late_len": (int, False)}  # fmt: skip
_APART = ("outbox_keep", "look_up", "late_len")  # behind the others in LIMITS, or not there
_KEEPS = ("newest", "oldest")
_DEVICE = {"name": (str, True), "sap": (int, True)}
_ASSOCIATION = {"device": (str, True), "client_sap": (int, True), "object": (str, True),
                "mechanism": (int, True), "role": (str, True), "conformance": (list, True),
                "max_pdu": (int, False), "note": (str, False), "application_context": (int, False),
                "security_setup": (str, False), "pre_established": (bool, False)}  # fmt: skip
_GATEWAY = {"network_id": (int, True), "link": (list, True), "time_out": (int, False),
            "physical_device_address": (str, False), "note": (str, False)}  # fmt: skip
_UPDATE = {"maker_key": (str, True)}
_LON = {"key": (str, True), "only": (bool, False)}
_MBUS = {"link": (list, True)}
_MBUS_LINKS = {"tcp": (str, int), "tty": (str, int), "uart": (int, int)}
_LINKS = {"wrapper-tcp": (str, int), "hdlc-tty": (str, int), "hdlc-uart": (int, int)}
_TIME_OUT_S, _LONGEST_TIME_OUT_S = 10, 600
_LONGEST_ADDRESS = 16
_KEYS = {"class": (int, str), "version": int, "device": (str, list), "obis": str, "access": str,
         "data_type": str, "data_types": dict, "scaler": int, "unit": str, "source": str,
         "capacity": dict, "volatile": bool, "ram": list, "row_len": int, "base_name": int,
         "compression": list, "values": dict, "each": (dict, list), "note": str, "keys": dict,
         "certificates": list}  # fmt: skip
# sources of the meter program and the classes that they feed
_SOURCES = {"energy": (3,), "inst": (1, 3), "demand": (5,), "max": (4,), "count": (1, 3),
            "event": (1,), "status": (1, 3, 63), "push": (40,), "token": (115,), "kept": (1,),
            "sag": (1, 3), "swell": (1, 3), "cut": (1, 3), "outage": (1, 3),
            "long_outage": (1, 3), "contact": (1, 3), "over_current": (1, 3),
            "bad_week": (1, 3)}  # fmt: skip
NO_FEEDS = ("push.", "token.")  # sources that say what the program does, and feed nothing
_STRING_FEEDS = r"\.time_|^kept\."  # that do not feed an integer, but octets
_LN, _SN, _LN_CIPHERED, _SN_CIPHERED = 1, 2, 3, 4  # application contexts
_ASSOCIATION_SN, _ASSOCIATION_LN = 12, 15
# of an association with short names, without what logical names are asked with
_NOT_SHORT = ("get", "set", "action", "event-notification", "access")
_LONGEST_SECRET = 64
_WITH_KEYS = (5, 7)  # mechanisms that need a Security setup: GMAC, ECDSA
_SECURITY_SETUP = 64
_KEY_NAMES = ("guek", "gbek", "gak", "kek")  # in the order of the hidden state `keys`
_KEY_ROOM = 32
_SUITE, _SUITE_2 = 3, 2  # attribute security_suite, and its value with keys of 256 bits
_SHORT_KEY, _LONG_KEY = 16, 32
_FED = 2  # a source feeds attribute 2


class Device:
    """name, sap, objects (sorted by class_id and logical_name), logical_device_name (octets)."""


class Association:
    """device, client_sap, object, mechanism, role, conformance (24 bits, bit 0 first), max_pdu,
    application_context, short (with short names), security (Security setup, or None),
    pre_established."""


class Cell:
    """An attribute of an object: attribute (classes.Attribute), type (of this object), value;
    stored: 'computed', 'name', 'rom', 'ram', or 'late' (in ROM until it is changed); persistent;
    capacity in octets of encoding."""

    def encoding(self):
        return self.type.encode(self.value)


class Object:
    """device, version (classes.Version), name (6 octets), row, note, access (role -> octets, one
    an attribute then one a method), source, base_name, row_len, cells (by attribute index), state
    (octets by name), room (of states that do not have that of their class)."""

    @property
    def key(self):
        return self.version.class_id.to_bytes(2, "big") + self.name

    @property
    def text(self):
        return "%s %s" % (self.version.name, obis(self.name))

    def keys(self):
        """{name: hexadecimal} of the keys of a Security setup; those of zeros are none."""
        octets = self.state.get("keys", b"")
        n = _LONG_KEY if self.cells[_SUITE].value == _SUITE_2 else _SHORT_KEY
        found = {}
        for k, name in enumerate(_KEY_NAMES):
            key = octets[k * _KEY_ROOM : k * _KEY_ROOM + n]
            if any(key):
                found[name] = key.hex()
        return found

    def cell(self, name):
        a = self.version.attribute(name)
        return self.cells[a.index] if a else None


class Definition:
    """name, file, devices, associations, objects (all, in the order of rows), limits (tuple),
    late_len."""

    def find(self, device, class_id, name):
        """Object of a logical device, or None. name: six octets, or the text form."""
        name = logical_name(name) if isinstance(name, str) else name
        key = class_id.to_bytes(2, "big") + name
        return next((o for o in device.objects if o.key == key), None)

    def device(self, name):
        return next((d for d in self.devices if d.name == name), None)


def load_definition(file, classes=None):
    """Definition of a TOML file (path, or source.Document). Raises source.TableError."""
    document = file if isinstance(file, source.Document) else source.read(file)
    return Loader(document, classes or load_classes()).load()


class Loader:
    def __init__(self, document, classes):
        self.document = document
        self.data = document.data
        self.classes = classes
        self.by_name = {}
        self.placed = {}  # objects, by (device, key)
        for c in classes.values():
            for v in c.versions.values():
                for name in (v.name, v.name.split(" (")[0]):  # class 43 has a remark in its name
                    self.by_name.setdefault(name.lower(), c)
        self.units = units(classes)

    def error(self, path, message):
        return self.document.error(path, message)

    def load(self):
        keys(self.document, (), self.data, _TOP)
        d = self.definition = Definition()
        d.name = self.data["name"]
        d.file = self.document.file
        d.document = self.document
        d.units = self.units
        limits = self.data["limits"]
        keys(self.document, ("limits",), limits, _LIMITS)
        for key, value in limits.items():
            if key == "outbox_keep":
                one_of(self.document, ("limits", key), value, _KEEPS)
            elif _LIMITS[key][0] is int:
                self.number(("limits", key), value, 1)
        longest = max(limits["max_send_pdu"], limits["max_receive_pdu"])
        d.limits = tuple(limits.get(key, longest) for key in _LIMITS if key not in _APART)
        d.limits += (_KEEPS.index(limits.get("outbox_keep", "newest")),)
        d.limits += (int(limits.get("look_up", True)),)
        d.late_len = limits.get("late_len", 0)
        d.devices = []
        for n, table in enumerate(self.data["device"]):
            keys(self.document, ("device", n), table, _DEVICE)
            self.number(("device", n, "sap"), table["sap"], 1)
            device = Device()
            device.name, device.sap, device.objects = table["name"], table["sap"], []
            if any(o.sap == device.sap or o.name == device.name for o in d.devices):
                raise self.error(
                    ("device", n), "sap or name again; expected one logical device each"
                )
            d.devices.append(device)
        self.associations()
        d.gateways = [self.gateway(n, g) for n, g in enumerate(self.data.get("gateway", []))]
        d.mbus = self.mbus(self.data.get("mbus"))
        d.maker = self.maker(self.data.get("update"))
        d.lon = self.lon(self.data.get("lon"))
        for g, group in enumerate(self.data["objects"]):
            self.group(("objects", g), group)
        self.rows()
        return d

    def number(self, path, value, lo):
        if not lo <= value <= 0xFFFF:
            raise self.error(path, "%s is %d; expected %d to 65535" % (path[-1], value, lo))

    def associations(self):
        bits = self.classes[15].enums["conformance"]
        numbers = {text.split(" (")[0]: int(bit) for bit, text in bits.items() if bit.isdecimal()}
        self.definition.associations = []
        for n, table in enumerate(self.data["association"]):
            path = ("association", n)
            keys(self.document, path, table, _ASSOCIATION)
            a = Association()
            a.path = path
            one_of(
                self.document,
                (*path, "device"),
                table["device"],
                [d.name for d in self.definition.devices],
            )
            a.device = self.definition.device(table["device"])
            a.client_sap = table["client_sap"]
            self.number((*path, "client_sap"), a.client_sap, 0)
            self.number((*path, "max_pdu"), table.get("max_pdu", 0), 0)
            a.mechanism = table["mechanism"]
            if not 0 <= a.mechanism <= 7:
                raise self.error(
                    (*path, "mechanism"), "mechanism %d; expected 0 to 7" % a.mechanism
                )
            if any(
                x.client_sap == a.client_sap and x.device is a.device
                for x in self.definition.associations
            ):
                raise self.error(
                    (*path, "client_sap"),
                    "client_sap %d again; expected it once a device" % a.client_sap,
                )
            a.role = table["role"]
            a.max_pdu = table.get("max_pdu", self.definition.limits[3])
            a.conformance = 0
            for i, word in enumerate(table["conformance"]):
                one_of(self.document, (*path, "conformance", i), word, list(numbers))
                a.conformance |= 0x800000 >> numbers[word]
            a.object_name = table["object"]
            a.application_context = table.get("application_context", _LN)
            a.security_name = table.get("security_setup")
            a.pre_established = table.get("pre_established", False)
            if a.pre_established and a.mechanism:
                message = "mechanism %d of a pre-established association; expected 0: nobody asks"
                raise self.error((*path, "mechanism"), message % a.mechanism)
            a.short = a.application_context in (_SN, _SN_CIPHERED)
            if not _LN <= a.application_context <= _SN_CIPHERED:
                message = "application_context %d; expected 1 (LN), 2 (SN), 3, 4 (with ciphering)"
                raise self.error((*path, "application_context"), message % a.application_context)
            for i, word in enumerate(table["conformance"]):
                if a.short and word in _NOT_SHORT:
                    message = "%s of an association with short names; expected read, write, ..."
                    raise self.error((*path, "conformance", i), message % word)
            if a.security_name is None and (
                a.application_context >= _LN_CIPHERED or a.mechanism in _WITH_KEYS
            ):
                raise self.error(
                    path, "no security_setup; expected the logical name of one, for its keys"
                )
            self.definition.associations.append(a)

    def maker(self, table):
        """Octets of the maker's public key, b"" if there is no [update]."""
        if table is None:
            return b""
        keys(self.document, ("update",), table, _UPDATE)
        if not re.fullmatch("0x([0-9A-Fa-f]{2}){64}", table["maker_key"]):
            raise self.error(
                ("update", "maker_key"), "maker_key is none; expected 0x and 64 octets, x and y"
            )
        return bytes.fromhex(table["maker_key"][2:])

    def lon(self, table):
        """(key, may nothing else be served), None if there is no [lon]."""
        if table is None:
            return None
        keys(self.document, ("lon",), table, _LON)
        if not re.fullmatch("0x([0-9A-Fa-f]{2}){16}", table["key"]):
            raise self.error(("lon", "key"), "key is none; expected 0x and 16 octets")
        return bytes.fromhex(table["key"][2:]), int(table.get("only", False))

    def mbus(self, table):
        """(kind, where, number) of the M-Bus, None if there is none."""
        if table is None:
            return None
        keys(self.document, ("mbus",), table, _MBUS)
        kind, *rest = table["link"] or [None]
        if kind not in _MBUS_LINKS or tuple(type(x) for x in rest) != _MBUS_LINKS[kind]:
            expected = " or ".join('["%s", ...]' % name for name in _MBUS_LINKS)
            message = "link %r; expected %s" % (table["link"], expected)
            raise self.error(("mbus", "link"), message)
        return tuple(table["link"])

    def gateway(self, n, table):
        """(network_id, kind, where, number, physical_device_address, time_out) of a line."""
        path = ("gateway", n)
        keys(self.document, path, table, _GATEWAY)
        network_id = table["network_id"]
        if not 0 <= network_id <= 0xFF:
            raise self.error(
                (*path, "network_id"), "network_id %d; expected 0 to 255" % network_id
            )
        kind, *rest = table["link"] or [None]
        if kind not in _LINKS or tuple(type(x) for x in rest) != _LINKS[kind]:
            expected = " or ".join('["%s", ...]' % name for name in _LINKS)
            raise self.error((*path, "link"), "link %r; expected %s" % (table["link"], expected))
        time_out = table.get("time_out", _TIME_OUT_S)
        if not 1 <= time_out <= _LONGEST_TIME_OUT_S:
            message = "time_out %d; expected 1 to %d seconds"
            raise self.error((*path, "time_out"), message % (time_out, _LONGEST_TIME_OUT_S))
        address = table.get("physical_device_address")
        if address is not None:
            if not re.fullmatch("0x([0-9A-Fa-f]{2}){0,%d}" % _LONGEST_ADDRESS, address):
                message = "physical_device_address %r; expected 0x and at most %d octets"
                raise self.error(
                    (*path, "physical_device_address"), message % (address, _LONGEST_ADDRESS)
                )
            address = bytes.fromhex(address[2:])
        return network_id, kind, *rest, address, time_out

    def group(self, path, group):
        if not isinstance(group, dict) or not isinstance(group.get("list"), list):
            raise self.error(
                path, "no list; expected [[objects]] with list = [ one object a line ]"
            )
        common = {k: v for k, v in group.items() if k != "list"}
        if "obis" in common or "each" in common:
            raise self.error(path, "obis or each for a group; expected them in its lines")
        for n, line in enumerate(group["list"]):
            where = (*path, "list", n)
            if not isinstance(line, dict):
                raise self.error(where, "%r is no table; expected {obis = ...}" % (line,))
            self.origin = {k: (*where, k) if k in line else (*path, k) for k in common | line}
            for one in self.expand(where, line):
                merged = dict(common)
                for key, value in one.items():
                    both = isinstance(value, dict) and isinstance(common.get(key), dict)
                    merged[key] = common[key] | value if both else value
                self.line(where, merged)

    def expand(self, where, line):
        """The line once for every combination of its `each`."""
        each = line.get("each", {})
        lines = [{k: v for k, v in line.items() if k != "each"}]
        for table in each if isinstance(each, list) else [each]:
            if not isinstance(table, dict):
                raise self.error(
                    (*where, "each"), "%r is no table; expected {x = [1, 2]}" % (table,)
                )
            columns = {}
            for name, values in table.items():
                span = re.fullmatch(r"(\d+)\.\.(\d+)", values) if isinstance(values, str) else None
                if span:
                    values = list(range(int(span.group(1)), int(span.group(2)) + 1))
                if not isinstance(values, list):
                    message = '%s is %r; expected a list, or "1..4"' % (name, values)
                    raise self.error((*where, "each", name), message)
                columns[name] = values
            if len({len(v) for v in columns.values()}) > 1:
                raise self.error(
                    (*where, "each"), "lists of different length; expected as many of each"
                )
            sets = [dict(zip(columns, row)) for row in zip(*columns.values())] if columns else [{}]
            lines = [fill_line(one, s) for one in lines for s in sets]
        return lines

    def line(self, where, table):
        """One object, in each of its devices."""
        at = self.origin.get
        for key, kind in _KEYS.items():
            if key in table and (
                not isinstance(table[key], kind)
                or (isinstance(table[key], bool) and kind is not bool)
            ):
                wanted = " or ".join(
                    k.__name__ for k in (kind if isinstance(kind, tuple) else (kind,))
                )
                raise self.error(
                    at(key, where),
                    "%s is %r; expected a value of type %s" % (key, table[key], wanted),
                )
        for key in ("class", "obis", "access", "device"):
            if key not in table:
                raise self.error(
                    where, "no %s; expected the key %s in the line or its group" % (key, key)
                )
        version = self.version(table, at, where)
        try:
            name = logical_name(table["obis"])
        except ValueError as e:
            raise self.error(at("obis"), str(e)) from None
        attributes = {k: v for k, v in table.items() if k not in _KEYS} | table.get("values", {})
        for key in ("scaler", "unit"):
            if key in table and "scaler_unit" not in attributes:
                attributes["scaler_unit"] = [table.get("scaler", 0), table.get("unit", 255)]
                self.origin.setdefault("scaler_unit", at(key))
        if version.class_id == _ASSOCIATION_SN:
            table["secret"] = attributes.pop("secret", "")
            table["capacity"] = dict(table.get("capacity", {}))
            room = _LONGEST_SECRET if table["secret"] else 0
            table["secret_room"] = table["capacity"].pop("secret", room)
        known = [a.name for a in version.attributes.values()]
        for key in [
            *attributes,
            *table.get("data_types", {}),
            *table.get("capacity", {}),
            *table.get("ram", []),
        ]:
            if key not in known or key == "logical_name":
                message = "class %s has no attribute %s; expected a key or one of %s"
                raise self.error(
                    at(key, where), message % (version.name, key, ", ".join(known[1:]))
                )
        one_of(self.document, at("access"), table["access"], list(self.data["access"]))
        devices = table["device"] if isinstance(table["device"], list) else [table["device"]]
        for device in devices:
            one_of(self.document, at("device"), device, [d.name for d in self.definition.devices])
            self.place(where, self.definition.device(device), version, name, table, attributes)

    def version(self, table, at, where):
        wanted = table["class"]
        c = (
            self.classes.get(wanted)
            if isinstance(wanted, int)
            else self.by_name.get(wanted.lower())
        )
        if c is None:
            raise self.error(
                at("class"),
                "class %r is unknown; expected a name or number of lib/cosem/classes" % wanted,
            )
        if "version" not in table:
            return c.current
        if table["version"] not in c.versions:
            have = ", ".join(str(v) for v in c.versions)
            raise self.error(
                at("version"),
                "%s has no version %s; expected %s" % (c.name, table["version"], have),
            )
        return c.versions[table["version"]]

    def place(self, where, device, version, name, table, attributes):
        o = Object()
        o.device, o.version, o.name, o.path = device, version, name, where
        o.origin = dict(self.origin)
        o.note = table.get("note", "")
        o.base_name = table.get("base_name", 0)
        o.row_len = table.get("row_len", 0)
        o.compression = table.get("compression", [])
        o.group = table["access"]
        o.volatile = table.get("volatile", False)
        o.ram = [version.attribute(n).index for n in table.get("ram", [])]
        o.asked = {version.attribute(n).index: c for n, c in table.get("capacity", {}).items()}
        o.source = table.get("source")
        if o.source is not None:
            self.check_source(o)
        o.state = self.keys_of(o, table.get("keys"))
        o.room = {}
        if version.class_id == _ASSOCIATION_SN:
            o.state["secret"] = self.secret_of(o, table["secret"], table["secret_room"])
            o.room = {"secret": 2 + table["secret_room"]}
        o.certificates = table.get("certificates", [])
        if o.certificates and version.class_id != _SECURITY_SETUP:
            message = "certificates for %s; expected them for Security setup"
            raise self.error(o.origin["certificates"], message % o.text)
        o.cells = {}
        for k, a in version.attributes.items():
            cell = o.cells[k] = Cell()
            cell.attribute = a
            cell.stored = "computed" if a.computed else "name" if k == 1 else None
            cell.type = self.cell_type(o, a, table)
            if k == 1:
                cell.value = name
                continue
            try:
                cell.value = cell.type.default()
                if a.name in attributes:
                    names = self.units if a.name == "scaler_unit" else None
                    cell.value = cell.type.coerce(attributes[a.name], names)
            except ValueError as e:
                raise self.error(self.value_path(o, a.name), "%s: %s" % (a.name, e)) from None
            if cell.stored == "computed" and a.name in attributes:
                raise self.error(
                    self.value_path(o, a.name), "%s is computed; expected no value" % a.name
                )
            if isinstance(cell.value, Typed) and cell.value.value is not None:
                cell.type, cell.value = cell.value.type, cell.value.value
        fed = o.cells[_FED]
        feeds = o.source and not o.source.startswith(NO_FEEDS)
        feeds = feeds and not re.search(_STRING_FEEDS, o.source)
        if feeds and (fed.type.kind != "simple" or fed.type.tag not in INTEGERS):
            message = "source %s feeds an integer, not %s; expected such a data_type"
            raise self.error(o.origin["source"], message % (o.source, fed.type.text))
        self.rights(o)
        other = self.placed.setdefault((device, o.key), o)
        if other is not o:
            file, line = self.document.place(other.path)
            where = "" if file == self.document.place(o.path)[0] else " of " + file
            raise self.error(
                at_obis(o), "%s again; expected it once (line %d%s)" % (o.text, line, where)
            )
        device.objects.append(o)

    def keys_of(self, o, keys):
        """Hidden states that are not zeros: the keys of a Security setup."""
        if keys is None:
            return {}
        path = o.origin["keys"]
        if o.version.class_id != _SECURITY_SETUP:
            raise self.error(path, "keys for %s; expected them for Security setup" % o.text)
        octets = b""
        for name, value in keys.items():
            if name not in _KEY_NAMES:
                raise self.error(
                    path, "key %s; expected one of %s" % (name, ", ".join(_KEY_NAMES))
                )
            if not isinstance(value, str) or not re.fullmatch(r"0x([0-9A-Fa-f]{32}){1,2}", value):
                raise self.error(path, 'key %s; expected "0x" and 32 or 64 digits' % name)
        for name in _KEY_NAMES:
            octets += bytes.fromhex(keys.get(name, "0x")[2:]).ljust(_KEY_ROOM, b"\x00")
        return {"keys": octets}

    def secret_of(self, o, text, room):
        """The hidden state `secret` of an Association SN object: an octet-string."""
        path = o.origin.get("secret", o.path)
        try:
            t = parse_type("octet-string")
            octets = t.encode(t.coerce(text))
        except ValueError as e:
            raise self.error(path, "secret: %s" % e) from None
        if not isinstance(room, int) or not len(octets) - 2 <= room <= _LONGEST_SECRET:
            message = "secret of %d octets with room for %s; expected at most %d"
            raise self.error(path, message % (len(octets) - 2, room, _LONGEST_SECRET))
        return octets

    def value_path(self, o, name):
        return o.origin.get(name) or (*o.path, "values", name)

    def check_source(self, o):
        kind = o.source.split(".")[0]
        if "." not in o.source or kind not in _SOURCES:
            words = ", ".join(k + "." for k in _SOURCES)
            raise self.error(
                o.origin["source"], "source %s is unknown; expected one of %s" % (o.source, words)
            )
        if o.version.class_id not in _SOURCES[kind]:
            names = " or ".join(self.classes[c].name for c in _SOURCES[kind])
            message = "source %s does not feed %s; expected %s" % (o.source, o.version.name, names)
            raise self.error(o.origin["source"], message)

    def cell_type(self, o, a, table):
        text = table.get("data_types", {}).get(a.name)
        key = "data_types"
        if (
            text is None
            and a.type.kind in ("any", "choice")
            and a.name != "status"
            and not a.computed
        ):
            text, key = table.get("data_type"), "data_type"
        if text is None:
            return a.type
        try:
            t = parse_type(text)
        except ValueError as e:
            raise self.error(o.origin[key], str(e)) from None
        if not a.type.admits(t):
            raise self.error(
                o.origin[key], "%s cannot be %s; expected %s" % (a.name, text, a.type.text)
            )
        return t

    def rights(self, o):
        o.access = {}
        for role, text in self.data["access"][o.group].items():
            path = ("access", o.group, role)
            if not isinstance(text, str):
                raise self.error(path, '%r; expected rights such as "r w x"' % (text,))
            try:
                o.access[role] = rights(text, o.version)
            except ValueError as e:
                raise self.error(path, str(e)) from None

    def rows(self):
        d = self.definition
        for device in d.devices:
            device.objects.sort(key=lambda o: o.key)
            named = d.find(device, 1, "0.0.42.0.0.255")
            if named is None:
                path = ("device", d.devices.index(device))
                raise self.error(
                    path,
                    "no Data object 0.0.42.0.0.255; expected the logical device name of %s"
                    % device.name,
                )
            value = named.cells[2].value
            device.logical_device_name = value if isinstance(value, bytes) else str(value).encode()
        d.objects = [o for device in d.devices for o in device.objects]
        for row, o in enumerate(d.objects):
            o.row = row
        for a in d.associations:
            try:
                class_id = _ASSOCIATION_SN if a.short else _ASSOCIATION_LN
                a.object = d.find(a.device, class_id, a.object_name)
            except ValueError as e:
                raise self.error((*a.path, "object"), str(e)) from None
            if a.object is None:
                message = "%s has no %s %s; expected it among its objects"
                name = self.classes[class_id].name
                raise self.error(
                    (*a.path, "object"), message % (a.device.name, name, a.object_name)
                )
            a.security = None
            if a.security_name is not None:
                path = (*a.path, "security_setup")
                try:
                    a.security = d.find(a.device, _SECURITY_SETUP, a.security_name)
                except ValueError as e:
                    raise self.error(path, str(e)) from None
                if a.security is None:
                    message = "%s has no Security setup %s; expected it among its objects"
                    raise self.error(path, message % (a.device.name, a.security_name))
            if not any(a.role in roles for roles in self.data["access"].values()):
                raise self.error(
                    (*a.path, "role"),
                    "role %s is unknown; expected one that [access] names" % a.role,
                )
        names.assign(self)
        key_places.check(self)


def at_obis(o):
    return o.origin.get("obis", o.path)


def fill_line(line, names):
    """A line with {x} filled in; keys whose values are texts keep texts."""
    return {
        key: str(fill(value, names))
        if _KEYS.get(key) is str and isinstance(value, str)
        else fill(value, names)
        for key, value in line.items()
    }


def fill(value, names):
    """`value` with {x} in its texts replaced; a text that is only {x} becomes the thing itself."""
    if isinstance(value, dict):
        return {k: fill(v, names) for k, v in value.items()}
    if isinstance(value, list):
        return [fill(v, names) for v in value]
    if isinstance(value, str):
        for name, thing in names.items():
            if value == "{%s}" % name:
                return thing
            value = value.replace("{%s}" % name, str(thing))
    return value


_RIGHT = re.compile(r"([rwx])(?::(\d+(?:-\d+)?(?:,\d+(?:-\d+)?)*))?(?:\?([aes]+))?(?:!([aes]+))?")


def rights(text, version):
    """One octet an attribute then one a method, bits as Association LN version 3."""
    n = max(version.attributes)
    m = max(version.methods, default=0)
    out = bytearray(n + m)
    for word in text.split():
        found = _RIGHT.fullmatch(word)
        if not found:
            raise ValueError(
                "right %r is not understood; expected r, w, x, or such as r:1-6,8 or w?ae!a" % word
            )
        letter, spans, request, response = found.groups()
        mode = 2 if letter == "w" else 1
        mode |= sum(4 << "aes".index(c) for c in set(request or ""))
        mode |= sum(0x20 << "aes".index(c) for c in set(response or ""))
        have = version.methods if letter == "x" else version.attributes
        if spans:
            chosen = set()
            for span in spans.split(","):
                first, _, last = span.partition("-")
                chosen.update(range(int(first), int(last or first) + 1))
            chosen &= set(have)  # a group may hold versions with fewer
        else:
            chosen = {k for k in have if letter != "w" or "w" in have[k].access}
        for k in chosen:
            out[(n if letter == "x" else 0) + k - 1] |= mode
    return bytes(out)
