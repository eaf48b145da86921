# SPDX-License-Identifier: MIT
"""A meter for tests of class modules: a few lines of a definition, the model, and storage in RAM.

No server and no association rights: get(), set() and act() do what a service does behind them.
Data is written with the functions below, and read back with value().
"""

import functools
import importlib.util
import os
import re
import struct
import sys
import types

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
for folder in (os.path.join(ROOT, "tools"), ROOT, os.path.join(ROOT, "lib")):
    if folder not in sys.path:
        sys.path.insert(0, folder)
if "micropython" not in sys.modules:
    sys.path.append(os.path.join(ROOT, "firmware", "ports", "shim"))

import tables
from cosem.model import Model
from dlms.stream import Stream
from tables import definition, source

from firmware.vault import Vault

HEAD = """
name = "test"
limits = {associations = 1, work_len = 512, max_send_pdu = 512, max_receive_pdu = 512}
[[device]]
name = "meter"
sap = 1
[access]
all = {client = "r w x"}
[[association]]
device = "meter"
client_sap = 16
object = "0.0.40.0.0.255"
mechanism = 0
role = "client"
conformance = ["get", "set", "action", "selective-access"]
[[objects]]
device = "meter"
access = "all"
list = [
    {class = 15, obis = "0.0.40.0.0.255"},
    {class = 1, obis = "0.0.42.0.0.255", data_type = "octet-string", value = "TST0000000000001"},
"""

CLOCK = """
    {class = 8, obis = "0.0.1.0.0.255", time_zone = -60, daylight_savings_deviation = 60,
     daylight_savings_enabled = true, clock_base = 1,
     daylight_savings_begin = "*-03-last sun 02:00:00",
     daylight_savings_end = "*-10-last sun 03:00:00"},
"""


# --- A-XDR ----------------------------------------------------------------------------------


def u8(n):
    return b"\x11" + bytes((n,))


def i8(n):
    return struct.pack(">Bb", 0x0F, n)


def u16(n):
    return struct.pack(">BH", 0x12, n)


def i16(n):
    return struct.pack(">Bh", 0x10, n)


def u32(n):
    return struct.pack(">BI", 0x06, n)


def i32(n):
    return struct.pack(">Bi", 0x05, n)


def u64(n):
    return struct.pack(">BQ", 0x15, n)


def i64(n):
    return struct.pack(">Bq", 0x14, n)


def enum(n):
    return b"\x16" + bytes((n,))


def boolean(x):
    return b"\x03" + bytes((1 if x else 0,))


def octets(data):
    return b"\x09" + bytes((len(data),)) + bytes(data)


def struct_(*parts):
    return b"\x02" + bytes((len(parts),)) + b"".join(parts)


def array(*parts):
    return b"\x01" + bytes((len(parts),)) + b"".join(parts)


def obis(text):
    return bytes(int(x) for x in text.split("."))


def capture_object(class_id, name, attribute, data_index=0):
    return struct_(u16(class_id), octets(obis(name)), i8(attribute), u16(data_index))


def date_time(
    year, month, day, hour, minute, second=0, deviation=-0x8000, status=0xFF, weekday=255
):
    return struct.pack(
        ">HBBBBBBBhB", year, month, day, weekday, hour, minute, second, 255, deviation, status
    )


def value(data):
    """Python value of one Data: list for arrays and structures, bytes for strings, a str of 0 and
    1 for a bit-string."""
    v, pos = _value(bytes(data), 0)
    assert pos == len(data), "octets after the value"
    return v


_FORMATS = {3: "B", 5: "i", 6: "I", 0x0D: "b", 0x0F: "b", 0x10: "h", 0x11: "B", 0x12: "H"}
_FORMATS.update({0x1C: "b", 0x1D: "h", 0x1E: "i", 0x1F: "B", 0x20: "H", 0x21: "I"})
_FORMATS.update({0x14: "q", 0x15: "Q", 0x16: "B", 0x17: "f", 0x18: "d"})


def _length(data, pos):
    n = data[pos]
    if n < 0x80:
        return n, pos + 1
    size = n & 0x7F
    return int.from_bytes(data[pos + 1 : pos + 1 + size], "big"), pos + 1 + size


def _value(data, pos):
    tag = data[pos]
    pos += 1
    if tag == 0:
        return None, pos
    if tag in (1, 2):
        n, pos = _length(data, pos)
        out = []
        for _ in range(n):
            v, pos = _value(data, pos)
            out.append(v)
        return out, pos
    if tag in (9, 10, 12):
        n, pos = _length(data, pos)
        return data[pos : pos + n], pos + n
    if tag == 4:
        n, pos = _length(data, pos)
        end = pos + (n + 7 >> 3)
        return "".join("{:08b}".format(octet) for octet in data[pos:end])[:n], end
    if tag == 0x19:
        return data[pos : pos + 12], pos + 12
    size = struct.calcsize(">" + _FORMATS[tag])
    return struct.unpack_from(">" + _FORMATS[tag], data, pos)[0], pos + size


# --- Storage --------------------------------------------------------------------------------


class Ring:
    """Rows in a list; `damaged` holds the sequence numbers that read as False."""

    def __init__(self, row_len, capacity):
        self.row_len = row_len
        self.capacity = capacity
        self.rows = []
        self.first = 0
        self.damaged = set()
        self.n_reads = 0

    @property
    def n(self):
        return len(self.rows)

    def buffer(self):
        return bytearray(self.row_len)

    def append(self, buf, pos):
        self.rows.append(bytes(buf[pos : pos + self.row_len]))
        if len(self.rows) > self.capacity:
            del self.rows[0]
            self.first += 1
        return True

    def read(self, k, buf, pos):
        self.n_reads += 1
        if not 0 <= k < len(self.rows) or self.first + k in self.damaged:
            return False
        buf[pos : pos + self.row_len] = self.rows[k]
        return True

    def clear(self):
        self.first += len(self.rows)
        self.rows = []
        return True


class Storage:
    def __init__(self):
        self.rings = {}

    def ring(self, row, row_len, capacity):
        if row not in self.rings:
            self.rings[row] = Ring(row_len, capacity)
        return self.rings[row]


def vault(row_len=19 + 48 + 768, rows=24):
    """The firmware's vault over a ring in a list."""
    return Vault(Ring(row_len, rows))


# --- The meter ------------------------------------------------------------------------------


def lines(objects):
    """An inline table of TOML is one line."""
    return re.sub(r",\n {5,}", ", ", objects)


@functools.lru_cache(maxsize=None)
def compiled(text):
    """The definition module of a whole definition."""
    packed = tables.compile(definition.load_definition(source.Document(text, "test.toml")))
    return types.SimpleNamespace(
        **{k.upper(): v for k, v in vars(packed).items() if not k.startswith("_")}
    )


def define(objects, head=HEAD):
    """The definition module of these object lines."""
    module = compiled(head + lines(objects) + "]\n")
    # Modules of other classes need not be there.
    module.HANDLERS = tuple(
        n if n and importlib.util.find_spec("cosem." + n) and n in MODULES else ""
        for n in module.HANDLERS
    )
    return module


MODULES = {
    "account",
    "arbitrator",
    "charge",
    "array_manager",
    "clock",
    "compact_data",
    "credit",
    "demand_register",
    "disconnect_control",
    "image_transfer",
    "function_control",
    "ipv6_setup",
    "link_setup",
    "ntp_setup",
    "profile_generic",
    "register",
    "register_activation",
    "register_monitor",
    "register_table",
    "sap_assignment",
    "sfsk_setup",
    "script_table",
    "single_action_schedule",
    "token_gateway",
    "status_mapping",
    "utility_tables",
}


class Meter:
    """objects: lines of a definition. A second meter on the same storage and image: restart()."""

    def __init__(self, objects, head=HEAD, storage=None, image=None):
        self.definition = define(objects, head) if isinstance(objects, str) else objects
        self.model = Model(self.definition)
        self.model.storage = self.storage = storage or Storage()
        self.edits = []
        self.events = []
        self.setups = []
        self.model.on_edit = lambda row, attribute: self.edits.append((row, attribute))
        self.model.event = self.events.append
        self.model.on_setup = self.setups.append
        if image is not None:
            self.model.image[:] = image
        self.model.start()
        self.clock = self.model.handler("clock")
        self.stream = Stream(self.model)

    def restart(self):
        return Meter(self.definition, storage=self.storage, image=self.model.image)

    def row(self, class_id, name):
        key = struct.pack(">H", class_id) + obis(name)
        row = self.model.find(0, key, 0)
        assert row >= 0, "no such object"
        return row

    def get(self, row, attribute, selector=0, data=b""):
        """Encoding of an attribute, or the data_access_result (int) that was answered."""
        s = self.stream
        s.association = None
        s.index = s.count = s.last_part = s.torn = 0
        s.result = -1
        s.selector = selector
        s.buf = bytearray(data)
        s.sel_pos = 0
        s.sel_end = len(data)
        s.row = s.found = row
        s.attribute = attribute
        dar = s._open_value()
        if dar:
            return dar
        out = bytearray(1000000)
        end = s.copy_all(out, 0, 900000)
        assert end >= 0, "item failed"
        return bytes(out[:end])

    def read(self, row, attribute, selector=0, data=b""):
        """Python value of an attribute."""
        answer = self.get(row, attribute, selector, data)
        return answer if isinstance(answer, int) else value(answer)

    def set(self, row, attribute, data):
        return self.model.write(row, attribute, bytearray(data), 0, len(data))

    def act(self, row, method, data=b"\x0f\x00"):
        return self.model.act(row, method, bytearray(data), 0, len(data))

    def call(self, row, method, data=b"\x0f\x00"):
        """A method with return data: (action_result, octets)."""
        s = self.stream
        s.association = None
        s.row = row
        s.out = bytearray(400)
        s.out_pos = s.n = 0
        result = self.model.handler_of(row).invoke(s, method, bytearray(data), 0, len(data))
        if not result and s.n:
            s.open_items()
            out = bytearray(100000)
            return result, bytes(out[: s.copy_all(out, 0, len(out))])
        return result, bytes(s.out[: s.out_pos])

    def local(self):
        """Local time as text."""
        t = self.clock.local
        return "%04d-%02d-%02d %02d:%02d:%02d" % (
            (t[0] << 8 | t[1],) + tuple(t[2:4]) + tuple(t[5:8])
        )

    def set_local(self, text, status=0xFF):
        """Set the clock to a local time, without on_shift."""
        date, _, time = text.partition(" ")
        y, m, d = (int(x) for x in date.split("-"))
        h, n, s = (int(x) for x in time.split(":"))
        minute = self.clock.minute_of(date_time(y, m, d, h, n, s, status=status), 0)
        assert minute >= 0
        self.clock.set_utc(minute, s)

    def run(self, seconds, step=1):
        """Let time pass; the modules tick every step seconds."""
        while seconds > 0:
            n = min(step, seconds)
            self.clock.advance(n * 1000)
            self.model.tick(self.clock.minute)
            seconds -= n
