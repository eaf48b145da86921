# SPDX-License-Identifier: MIT
"""What a definition says of its meter: for browsers (Facts.public), and to read its values by.

All of it is of the first logical device. Secrets and keys of the definition stay out of it.
"""

import math

import bootstrap
from firmware.links import trace
from tables import classes, names, pack, show, source

_DATA = 1
_REGISTERS = {3: (2, 3), 4: (2, 3), 5: (3, 4)}  # class_id: attributes of value and scaler_unit
_PROFILE = 7
_CLOCK = 8
_WITH_SECRETS = {class_id for class_id, _attribute in trace._SECRETS}
_DISCONNECT = 70
_INSTANTANEOUS = "7"  # value group D
_THOUSANDS = {"Wh": "kWh", "varh": "kvarh", "VAh": "kVAh"}
_MECHANISMS = (
    "nothing", "a secret", "HLS of a manufacturer", "MD5", "SHA-1", "GMAC", "SHA-256", "ECDSA",
)  # fmt: skip

# What sources feed, where the definition has no note.
_KINDS = {"max": "maximum demand", "demand": "demand"}
_QUANTITIES = {
    "a_plus": "active import", "a_minus": "active export", "r_plus": "reactive import",
    "r_minus": "reactive export",
}  # fmt: skip


def load(path):
    """Facts of a definition file. Trouble: it has a mistake."""
    try:
        compiled = pack.compile(path)
        units = classes.units(classes.load_classes())
    except source.TableError as e:
        raise bootstrap.Trouble(str(e)) from None
    facts = Facts(show.as_json(compiled), units)
    for o in compiled.definition.objects:
        if o.base_name and o.version.class_id in _WITH_SECRETS:
            facts.secret_names.update(
                o.base_name + k * names.STEP for k in range(len(names.members(o.version)))
            )
    return facts


def _words(source_):
    """max.a_minus: maximum, active export"""
    kind, _, what = source_.partition(".")
    parts = [_KINDS.get(kind, kind), _QUANTITIES.get(what, what).replace("_", " ")]
    return ", ".join(filter(None, parts))


def short(obis):
    """Without an F that says nothing."""
    return obis.removesuffix(".255")


class Value:
    """A number that can be read. id: class/obis/attribute."""

    def __init__(self, o, attribute, scaler=0, unit=""):
        source_ = o["source"] or ""
        words = o["note"] or _words(source_) or o["class"]
        self.id = "%d/%s/%d" % (o["class_id"], short(o["obis"]), attribute)
        self.name = (words[0].upper() + words[1:]).replace("_", " ")
        self.obis = o["obis"]
        self.scaler = scaler - 3 * (unit in _THOUSANDS)
        self.unit = _THOUSANDS.get(unit, "" if unit == "1" else unit)
        self.quick = self.obis.split(".")[3] == _INSTANTANEOUS
        self.adds_up = source_.startswith("energy.")
        self.counter = o["class_id"] == _DATA
        self.flags = source_.startswith("status.")
        self.command = "get %d %s %d" % (o["class_id"], o["obis"], attribute)

    def text(self, n):
        """A number of the meter for people, with the decimals that its scaler gives it."""
        if not isinstance(n, int):
            return "%g" % (n * 10.0**self.scaler)
        if self.flags:
            return "%08X" % n
        if self.scaler >= 0:
            return str(n * 10**self.scaler)
        digits = str(abs(n)).rjust(1 - self.scaler, "0")
        return "%s%s.%s" % ("-" * (n < 0), digits[: self.scaler], digits[self.scaler :])

    def number(self, n):
        """For a chart; None: it is no number of JSON."""
        return round(n * 10.0**self.scaler, 9) if math.isfinite(n) else None

    def public(self):
        return {
            "id": self.id,
            "obis": short(self.obis),
            "name": self.name,
            "unit": self.unit,
            "counter": self.counter,
        }


class Profile:
    """A load profile: its columns, Values or None behind the first, which is its clock."""

    def __init__(self, o, columns):
        self.id = short(o["obis"])
        words = o["note"] or self.id
        self.name = words[0].upper() + words[1:]
        self.columns = columns
        self.command = "get %d %s " % (_PROFILE, o["obis"])

    def public(self):
        columns = [
            {"name": c.name if c else "", "unit": c.unit if c else "", "adds_up": c and c.adds_up}
            for c in self.columns
        ]
        return {"id": self.id, "name": self.name, "columns": columns}


class Facts:
    def __init__(self, definition, units):
        self.secret_names = set()  # short names of objects that have secrets
        self._units = {number: name for name, number in units.items()}
        device = definition["devices"][0]
        objects = [o for o in definition["objects"] if o["device"] == device["name"]]
        self.notes = {o["obis"]: o["note"].split(";")[0] for o in objects}
        self.values = [v for o in objects for v in self._values(o)]
        self.by_id = {v.id: v for v in self.values}
        counted = [o for o in objects if o["source"] == "count.events"]
        self.events_id = "%d/%s/2" % (_DATA, short(counted[0]["obis"])) if counted else None
        clocks = [o["obis"] for o in objects if o["class_id"] == _CLOCK]
        self.clock = "get %d %s 2" % (_CLOCK, clocks[0]) if clocks else None
        profiles = [o for o in objects if o["class_id"] == _PROFILE]
        event_codes = {o["obis"] for o in objects if (o["source"] or "").startswith("event.")}
        logs = [o for o in profiles if event_codes & {name for _c, name, _a in captured(o)}]
        # Event logs: the note, and what reads its newest rows.
        self.logs = [
            (o["note"].removesuffix(" event log"), "get %d %s 2" % (_PROFILE, o["obis"]))
            for o in logs
        ]
        self.profiles = [self._profile(o) for o in profiles if o not in logs]
        self.associations = [
            {
                "client": a["client_sap"],
                "server": a["server_sap"],
                "device": "" if a["device"] == device["name"] else a["device"],
                "note": self.notes.get(a["object"]) or a["role"],
                "mechanism": "pre-established"
                if a["pre_established"]
                else _MECHANISMS[a["mechanism"]],
            }
            for a in definition["associations"]
        ]
        self.public = {
            "name": bytes.fromhex(device["logical_device_name"]).decode("ascii", "replace"),
            "definition": definition["name"],
            "values": [v.public() for v in self.values],
            "profiles": [p.public() for p in self.profiles],
            "disconnector": any(o["class_id"] == _DISCONNECT for o in objects),
        }

    def _values(self, o):
        """The numbers that an object has to show."""
        cells = {a["index"]: a for a in o["attributes"]}
        if o["class_id"] in _REGISTERS:
            attribute, at = _REGISTERS[o["class_id"]]
            scaler, unit = cells[at]["value"]
            yield Value(o, attribute, scaler, self._units.get(unit, ""))
        elif o["class_id"] == _DATA:
            source_ = o["source"] or ""
            if "count" in source_ or source_ in ("status.error", "status.alarm", "status.alarm2"):
                yield Value(o, 2)

    def _profile(self, o):
        columns = ["%d/%s/%d" % (c, short(name), a) for c, name, a in captured(o)]
        return Profile(o, [self.by_id.get(column) for column in columns[1:]])


def captured(o):
    """(class_id, obis, attribute) of each column of a Profile generic."""
    (cell,) = (a for a in o["attributes"] if a["index"] == 3)
    return [
        (c, ".".join(map(str, bytes.fromhex(name))), attribute)
        for c, name, attribute, _data in cell.get("value", ())
    ]
