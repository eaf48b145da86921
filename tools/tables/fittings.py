# SPDX-License-Identifier: MIT
"""What a definition says of the board around the meter: energy chip, pulse outputs, display.

[metrology]                        an energy chip instead of the simulated household
driver                             "atm90e32"
pulses_per_kwh                     of the chip (its meter constant): sets PL_Constant
registers                          {name of the datasheet = word}: configuration, calibration
[[pulse]]                          an output that pulses with the energies
energies                           names of sources, ["a_plus"]; they are summed up
constant                           pulses a kWh (kvarh, kVAh)
length_ms                          of a pulse, 30 to 1000; the pause is at least as long
pin                                its name in wiring.py
[display]                          a list of values, one after the other
device                             whose objects; the first one's, if not said
seconds                            that each is shown, 5
list                               {object = "3/1.0.1.8.0/2"} and of it: label (C.D.E of the
                                   name), unit ("kWh" of a register in Wh; the register's),
                                   decimals (as many as there are), digits (before the point,
                                   with zeros; as many as there are), seconds, format (number,
                                   text, hex, date, time; what the type says)
"""

from math import gcd

from .classes import keys, one_of
from .notation import INTEGERS

_METROLOGY = {"driver": (str, True), "pulses_per_kwh": (int, True), "registers": (dict, True)}
_PULSE = {"energies": (list, True), "constant": (int, True), "length_ms": (int, False),
          "pin": (str, True), "note": (str, False)}  # fmt: skip
_DISPLAY = {"device": (str, False), "seconds": (int, False), "list": (list, True)}
_ENTRY = {"object": (str, True), "label": (str, False), "unit": (str, False),
          "decimals": (int, False), "digits": (int, False), "seconds": (int, False),
          "format": (str, False)}  # fmt: skip

_WS_PER_KWH = 3600000
# ATM90E32AS, configuration and calibration registers: name of the datasheet -> address. Those that
# the driver sets itself (MeterEn, SoftReset, CfgRegAccEn, PLconst) are not among them.
_ATM90E32 = dict(
    ChannelMapI=0x01, ChannelMapU=0x02, SagPeakDetCfg=0x05, OVth=0x06, ZXConfig=0x07, SagTh=0x08,
    PhaseLossTh=0x09, INWarnTh=0x0A, OIth=0x0B, FreqLoTh=0x0C, FreqHiTh=0x0D,
    MMode0=0x33, MMode1=0x34, PStartTh=0x35, QStartTh=0x36, SStartTh=0x37, PPhaseTh=0x38,
    QPhaseTh=0x39, SPhaseTh=0x3A,
    PoffsetA=0x41, QoffsetA=0x42, PoffsetB=0x43, QoffsetB=0x44, PoffsetC=0x45, QoffsetC=0x46,
    PQGainA=0x47, PhiA=0x48, PQGainB=0x49, PhiB=0x4A, PQGainC=0x4B, PhiC=0x4C,
    UgainA=0x61, IgainA=0x62, UoffsetA=0x63, IoffsetA=0x64, UgainB=0x65, IgainB=0x66,
    UoffsetB=0x67, IoffsetB=0x68, UgainC=0x69, IgainC=0x6A, UoffsetC=0x6B, IoffsetC=0x6C,
)  # fmt: skip
_PL_CONST_H = 0x31
_PL_CONSTANT = 450000000000  # divided by the meter constant: 32 bits in PLconstH and PLconstL
_TICKS_PER_PULSE = 100

_ENERGIES = (
    "a_plus a_minus r_q1 r_q2 r_q3 r_q4 s_plus s_minus "
    "a_plus_l1 a_plus_l2 a_plus_l3 a_minus_l1 a_minus_l2 a_minus_l3"
).split()
_SHORTEST_MS, _LONGEST_MS = 30, 1000

_FORMATS = ("number", "text", "hex", "date", "time")
_SECONDS = 5
_WIDTH = 16  # characters of a line of the smallest display
_PREFIXES = {"": 0, "k": 3, "M": 6}
_TEXTS = (9, 10, 12)  # octet-string, visible-string, utf8-string


class Fittings:
    """metrology: (driver, *settings) or None; pulses: [(numbers of energies, numerator and
    denominator of the watt-seconds of a pulse, length_ms, pin)]; display: [octets]. Of a
    definition.Definition whose objects have rows."""

    def __init__(self, definition):
        self.definition = definition
        self.document = definition.document
        data = self.document.data
        self.unit_names = {number: name for name, number in definition.units.items()}
        self.metrology = self.chip(data["metrology"]) if "metrology" in data else None
        self.pulses = [self.pulse(("pulse", n), t) for n, t in enumerate(data.get("pulse", []))]
        self.display = self.entries(data["display"]) if "display" in data else []

    def error(self, path, message):
        return self.document.error(path, message)

    def number(self, path, value, lo, hi):
        if isinstance(value, bool) or not isinstance(value, int) or not lo <= value <= hi:
            raise self.error(path, "%s is %r; expected %d to %d" % (path[-1], value, lo, hi))
        return value

    def chip(self, table):
        """Watt-seconds of a tick in lowest terms, and the registers to write."""
        keys(self.document, ("metrology",), table, _METROLOGY)
        one_of(self.document, ("metrology", "driver"), table["driver"], ["atm90e32"])
        path = ("metrology", "pulses_per_kwh")
        constant = self.number(path, table["pulses_per_kwh"], 105, 100000)
        per_kwh = constant * _TICKS_PER_PULSE
        common = gcd(_WS_PER_KWH, per_kwh)
        if per_kwh // common > 0xFF:  # a remainder is kept in one octet
            message = (
                "pulses_per_kwh %d; expected one that 36000 divides to a small fraction (3200)"
            )
            raise self.error(path, message % constant)
        constant = _PL_CONSTANT // constant
        words = {_PL_CONST_H: constant >> 16, _PL_CONST_H + 1: constant & 0xFFFF}
        for name, word in table["registers"].items():
            path = ("metrology", "registers", name)
            one_of(self.document, path, name, list(_ATM90E32))
            words[_ATM90E32[name]] = self.number(path, word, 0, 0xFFFF)
        octets = b"".join(bytes((at,)) + w.to_bytes(2, "big") for at, w in sorted(words.items()))
        return table["driver"], _WS_PER_KWH // common, per_kwh // common, octets

    def pulse(self, path, table):
        keys(self.document, path, table, _PULSE)
        for n, name in enumerate(table["energies"]):
            one_of(self.document, (*path, "energies", n), name, _ENERGIES)
        constant = self.number((*path, "constant"), table["constant"], 1, 100000)
        common = gcd(_WS_PER_KWH, constant)
        length = table.get("length_ms", _SHORTEST_MS)
        self.number((*path, "length_ms"), length, _SHORTEST_MS, _LONGEST_MS)
        energies = bytes(_ENERGIES.index(name) for name in table["energies"])
        return energies, _WS_PER_KWH // common, constant // common, length, table["pin"]

    # --- Display ------------------------------------------------------------------------------

    def entries(self, table):
        path = ("display",)
        keys(self.document, path, table, _DISPLAY)
        devices = self.definition.devices
        name = table.get("device", devices[0].name)
        one_of(self.document, (*path, "device"), name, [d.name for d in devices])
        device = self.definition.device(name)
        seconds = self.number((*path, "seconds"), table.get("seconds", _SECONDS), 1, 255)
        return [
            self.entry((*path, "list", n), line, device, seconds)
            for n, line in enumerate(table["list"])
        ]

    def entry(self, path, line, device, seconds):
        """row u16, attribute, format, 128 + power of ten of the value's unit, decimals, digits,
        seconds, length of the label, label, unit."""
        if not isinstance(line, dict):
            raise self.error(path, "%r is no table; expected {object = ...}" % (line,))
        keys(self.document, path, line, _ENTRY)
        o, k, c = self.attribute(path, line["object"], device)
        number = c.type.kind == "simple" and c.type.tag in INTEGERS
        text = "number" if number else "text" if c.type.tag in _TEXTS else "hex"
        if c.type.format:
            text = "date" if c.type.format == "date" else "time"
        text = line.get("format", text)
        one_of(self.document, (*path, "format"), text, _FORMATS)
        if number != (text == "number"):
            message = "format %s of %s; expected one for its type, %s"
            raise self.error((*path, "format"), message % (text, line["object"], c.type.text))
        shift, unit = self.unit(path, line, o)
        decimals = self.number(
            (*path, "decimals"), line.get("decimals", max(0, -shift)), 0, _WIDTH - 2
        )
        digits = self.number((*path, "digits"), line.get("digits", 0), 0, _WIDTH)
        if digits + decimals + bool(decimals) + bool(unit) + len(unit) > _WIDTH:
            raise self.error(path, "more than %d characters; expected fewer digits" % _WIDTH)
        label = line.get("label", ".".join(str(x) for x in o.name[2:5]))
        for what, word in (("label", label), ("unit", unit)):
            if not word.isascii() or len(word) > _WIDTH:
                message = "%s %r; expected at most %d characters of ASCII"
                raise self.error((*path, what), message % (what, word, _WIDTH))
        seconds = self.number((*path, "seconds"), line.get("seconds", seconds), 1, 255)
        head = bytes((k, _FORMATS.index(text), 128 + shift, decimals, digits, seconds, len(label)))
        return o.row.to_bytes(2, "big") + head + label.encode() + unit.encode()

    def attribute(self, path, text, device):
        """(object, index, cell) that "class_id/logical_name/attribute" names."""
        parts = text.split("/")
        try:
            class_id, name, k = int(parts[0]), parts[1], int(parts[2])
            o = self.definition.find(device, class_id, name)
        except (ValueError, IndexError):
            message = 'object %r; expected such as "3/1.0.1.8.0/2"'
            raise self.error((*path, "object"), message % text) from None
        if o is None or k not in o.cells:
            message = "object %s; expected an attribute of an object of device %s"
            raise self.error((*path, "object"), message % (text, device.name))
        return o, k, o.cells[k]

    def unit(self, path, line, o):
        """(power of ten of a register's number in the unit that is shown, its text)"""
        cell = o.cell("scaler_unit") or o.cell("scaler_and_unit")
        if cell is None:
            return 0, line.get("unit", "")
        scaler, number = cell.value
        own = self.unit_names.get(number, "")
        own = "" if own in ("1", "count") else own
        shown = line.get("unit", own)
        for prefix, power in _PREFIXES.items():
            if shown == prefix + own:
                return scaler - power, shown
        message = "unit %s; expected %s, k%s or M%s"
        raise self.error((*path, "unit"), message % (shown, own, own, own))
