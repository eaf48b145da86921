# SPDX-License-Identifier: MIT
"""The Blue Book's notation of types, as in the class files: such as
`array[structure{mask_name:octet-string,index_list:array[unsigned]}]`.

parse_type(text) gives a Type; Type.description() its packed form (lib/dlms/types.py walks it),
Type.coerce(raw) turns what TOML holds into a value, Type.encode(value) gives its A-XDR (IEC
62056-5-3). A value is None, bool, int, float, bytes, str (bit-string: of 0 and 1), list, or Typed
where the type is open.
"""

import re
import struct

from . import dates

TAGS = {
    "null-data": 0x00,
    "array": 0x01,
    "structure": 0x02,
    "boolean": 0x03,
    "bit-string": 0x04,
    "double-long": 0x05,
    "double-long-unsigned": 0x06,
    "octet-string": 0x09,
    "visible-string": 0x0A,
    "utf8-string": 0x0C,
    "bcd": 0x0D,
    "integer": 0x0F,
    "long": 0x10,
    "unsigned": 0x11,
    "long-unsigned": 0x12,
    "compact-array": 0x13,
    "long64": 0x14,
    "long64-unsigned": 0x15,
    "enum": 0x16,
    "float32": 0x17,
    "float64": 0x18,
    "date-time": 0x19,
    "date": 0x1A,
    "time": 0x1B,
    "delta-integer": 0x1C,
    "delta-long": 0x1D,
    "delta-double-long": 0x1E,
    "delta-unsigned": 0x1F,
    "delta-long-unsigned": 0x20,
    "delta-double-long-unsigned": 0x21,
}
NAMES = {tag: name for name, tag in TAGS.items()}
# struct codes of the types of fixed size; bcd is one octet, and enum an unsigned one
CODES = {
    0x03: "B", 0x05: "i", 0x06: "I", 0x0D: "b", 0x0F: "b", 0x10: "h", 0x11: "B", 0x12: "H",
    0x14: "q", 0x15: "Q", 0x16: "B", 0x17: "f", 0x18: "d",
    0x1C: "b", 0x1D: "h", 0x1E: "i", 0x1F: "B", 0x20: "H", 0x21: "I",
}  # fmt: skip
FIXED = {0x00: 0, 0x19: 12, 0x1A: 5, 0x1B: 4}
FIXED.update((tag, struct.calcsize(">" + code)) for tag, code in CODES.items())
INTEGERS = (0x05, 0x06, 0x0D, 0x0F, 0x10, 0x11, 0x12, 0x14, 0x15, 0x16)
DELTAS = (0x1C, 0x1D, 0x1E, 0x1F, 0x20, 0x21)
STRINGS = (0x04, 0x09, 0x0A, 0x0C)

# Where the Book leaves a type open, the class files say so in one of these words: any Data fits.
OPEN = (
    "any", "any simple or complex data type", "access rights", "by option type", "capture object",
    "data", "entry", "neighbour_table element", "object_list subset", "prefix entry",
    "same type as monitored attribute", "same type as processed value", "same type as raw_value",
    "service specific", "simple", "structure entry", "backup data", "C/D rule", "F/R parameters",
    "one CHOICE element per parameter_list entry", "...as object_list element", "...",
)  # fmt: skip
# marks of the project's own in type descriptions, beside the tags
_EXACT = {0x09: 0x80, 0x0A: 0x84, 0x04: 0x85}
_CHOICE, _ANY, _RANGE, _AT_MOST, _RANGES = 0x81, 0x82, 0x83, 0x86, 0x87


class Typed:
    """A value with its type, where the type around it is open (any Data, or a CHOICE)."""

    def __init__(self, type, value):
        self.type = type
        self.value = value

    def __eq__(self, other):
        return isinstance(other, Typed) and (self.type.text, self.value) == (
            other.type.text,
            other.value,
        )

    def __repr__(self):
        return "Typed(%s, %r)" % (self.type.text, self.value)


def plain(value):
    """The value without the types of its open parts."""
    if isinstance(value, Typed):
        return plain(value.value)
    return [plain(v) for v in value] if isinstance(value, list) else value


def length(n):
    """A-XDR length octets."""
    if n < 0x80:
        return bytes((n,))
    return bytes((0x81, n)) if n < 0x100 else b"\x82" + n.to_bytes(2, "big")


class Type:
    """kind 'simple' (tag, and size, limits lo..hi, or a date format), 'array' (element),
    'structure' (fields: name and type), 'choice' (alternatives), or 'any'."""

    def __init__(self, text, kind, tag=None):
        self.text = text
        self.kind = kind
        self.tag = tag
        self.size = None  # exact octets, characters, or bits of a string
        self.most = None  # the same, at most
        self.lo = self.hi = None
        self.ranges = ()  # (lo, hi) each, where there are gaps between lo and hi
        self.format = None  # "date-time", "date", "time" inside an octet-string
        self.element = None
        self.fields = []
        self.alternatives = []

    def restricted(self, ranges):
        """The same one-octet type, restricted to these: (lo, hi) each, rising."""
        t = Type(self.text, self.kind, self.tag)
        t.lo, t.hi = ranges[0][0], ranges[-1][1]
        t.ranges = tuple(ranges) if len(ranges) > 1 else ()
        return t

    def description(self):
        """The packed type description."""
        if self.kind == "any":
            return bytes((_ANY,))
        if self.kind == "array":
            return b"\x01\xff\xff" + self.element.description()
        if self.kind == "structure":
            head = bytes((0x02, len(self.fields)))
            return head + b"".join(t.description() for _, t in self.fields)
        if self.kind == "choice":
            merged = merge(self.alternatives)
            if merged is None:
                return bytes((_ANY,))
            if len(merged) == 1:
                return merged[0].description()
            return bytes((_CHOICE, len(merged))) + b"".join(t.description() for t in merged)
        if self.size is not None and self.tag in _EXACT:
            return bytes((_EXACT[self.tag], self.size))
        if self.most is not None and self.tag == 0x09:
            return bytes((_AT_MOST, self.most))
        if self.ranges:
            octets = bytes(limit for pair in self.ranges for limit in pair)
            return bytes((_RANGES, self.tag, len(self.ranges))) + octets
        if self.lo is not None and FIXED.get(self.tag) == 1 and self.lo >= 0:
            return bytes((_RANGE, self.tag, self.lo, self.hi))
        return bytes((self.tag,))

    def fixed_len(self):
        """Octets of the encoding where every value has the same, else None."""
        if self.kind == "structure":
            sizes = [t.fixed_len() for _, t in self.fields]
            return None if None in sizes else 2 + sum(sizes)
        if self.kind == "choice":
            sizes = {t.fixed_len() for t in self.alternatives}
            return sizes.pop() if len(sizes) == 1 else None
        if self.kind != "simple":
            return None
        if self.tag in FIXED:
            return 1 + FIXED[self.tag]
        return None if self.size is None else self.string_len(self.size)

    def string_len(self, n):
        """Octets of the encoding of a string of n octets, characters, or bits."""
        return 1 + len(length(n)) + ((n + 7) // 8 if self.tag == 0x04 else n)

    def default(self):
        """The value when none is given: zero, empty, not specified, the first alternative."""
        if self.kind == "any":
            return Typed(NULL, None)
        if self.kind == "array":
            return []
        if self.kind == "structure":
            return [t.default() for _, t in self.fields]
        if self.kind == "choice":
            first = next(t for t in self.alternatives if t.tag != 0x13)
            return Typed(first, first.default())
        if self.tag == 0x13:
            raise ValueError("compact-array cannot be stored; expected another type")
        if self.tag == 0x00:
            return None
        if self.tag == 0x03:
            return False
        if self.tag in INTEGERS or self.tag in DELTAS:
            return self.lo if self.lo is not None else 0
        if self.tag in (0x17, 0x18):
            return 0.0
        if self.format or self.tag in (0x19, 0x1A, 0x1B):
            return dates.UNSPECIFIED[self.format or NAMES[self.tag]]
        if self.tag == 0x09:
            return bytes(self.size or 0)
        return ("0" if self.tag == 0x04 else " ") * (self.size or 0)

    def coerce(self, raw, names=None):
        """The value that `raw` (from TOML) stands for. ValueError says what is wrong and expected.
        names: text -> number, for the units of scaler_unit."""
        if isinstance(raw, Typed):
            raw = {"type": raw.type.text, "value": raw.value}
        if self.kind in ("any", "choice"):
            return self._coerce_open(raw, names)
        if self.kind == "array":
            if not isinstance(raw, list):
                raise ValueError("%r is no array; expected %s" % (raw, self.text))
            return [self.element.coerce(r, names) for r in raw]
        if self.kind == "structure":
            return self._coerce_structure(raw, names)
        return self._coerce_simple(raw, names)

    def _coerce_open(self, raw, names):
        # as {type = "...", value = ...}, or as text "type:value"
        if isinstance(raw, str):
            word, colon, rest = raw.partition(":")
            if colon and re.sub(r"[\[(].*", "", word) in TAGS:
                raw = {"type": word, "value": rest}
            elif word == "null-data":
                raw = {"type": word}
        if isinstance(raw, dict) and "type" in raw and set(raw) <= {"type", "value"}:
            t = parse_type(raw["type"])
            if not self.admits(t):
                raise ValueError("type %s does not fit; expected %s" % (t.text, self.text))
            value = t.coerce(raw["value"], names) if "value" in raw else t.default()
            return Typed(t, value)
        fits = []
        for t in self.alternatives:
            try:
                fits.append(Typed(t, t.coerce(raw, names)))
            except ValueError:
                pass
        if len(fits) == 1:
            return fits[0]
        raise ValueError(
            '%r does not tell its type; expected {type = "...", value = ...} for %s'
            % (raw, self.text)
        )

    def _coerce_structure(self, raw, names):
        n = len(self.fields)
        if isinstance(
            raw, str
        ):  # fields between slashes: "8/0.0.1.0.0.255/2"; those left out: default
            raw = raw.split("/", n - 1)
        if isinstance(raw, dict):
            unknown = [k for k in raw if k not in [name for name, _ in self.fields]]
            if unknown:
                raise ValueError(
                    "no field %s; expected of %s"
                    % (unknown[0], ", ".join(f for f, _ in self.fields))
                )
            return [t.coerce(raw[f], names) if f in raw else t.default() for f, t in self.fields]
        if not isinstance(raw, list) or len(raw) > n or not raw:
            raise ValueError("%r is no structure of %d; expected %s" % (raw, n, self.text))
        values = [t.coerce(r, names) for r, (_, t) in zip(raw, self.fields)]
        return values + [t.default() for _, t in self.fields[len(raw) :]]

    def _coerce_simple(self, raw, names):
        wrong = "%r does not fit; expected %s" % (raw, self.text)
        if self.tag == 0x13:
            return self.default()
        if self.tag == 0x00:
            if raw not in (None, ""):
                raise ValueError(wrong)
            return None
        if self.tag == 0x03:
            raw = {"true": True, "false": False}.get(raw, raw) if isinstance(raw, str) else raw
            if not isinstance(raw, bool):
                raise ValueError(wrong)
            return raw
        if self.tag in INTEGERS or self.tag in DELTAS:
            return self._coerce_integer(raw, names, wrong)
        if self.tag in (0x17, 0x18):
            if isinstance(raw, bool) or not isinstance(raw, (int, float)):
                raise ValueError(wrong)
            return float(raw)
        if not isinstance(raw, (str, bytes)):
            raise ValueError(wrong)
        if self.tag == 0x04:
            if not re.fullmatch("[01]*", raw) or (self.size is not None and len(raw) != self.size):
                raise ValueError(
                    "%r does not fit; expected %s as text of 0 and 1" % (raw, self.text)
                )
            return raw
        if self.tag in (0x19, 0x1A, 0x1B) or (self.format and isinstance(raw, str)):
            if raw.startswith("0x"):
                return octets(raw, self.text)
            return dates.parse(raw, self.format or NAMES[self.tag])
        if self.tag == 0x09:
            value = raw if isinstance(raw, bytes) else octets(raw, self.text, self.size)
        else:
            value = raw
        n = len(value)
        if (self.size is not None and n != self.size) or (self.most is not None and n > self.most):
            raise ValueError("%r has length %d; expected %s" % (raw, n, self.text))
        return value

    def _coerce_integer(self, raw, names, wrong):
        if isinstance(raw, str):
            if names and raw in names:
                raw = names[raw]
            else:
                try:
                    raw = int(raw, 0)
                except ValueError:
                    raise ValueError(wrong) from None
        if isinstance(raw, bool) or not isinstance(raw, int):
            raise ValueError(wrong)
        try:
            struct.pack(">" + CODES[self.tag], raw)
        except struct.error:
            raise ValueError("%r is out of range; expected %s" % (raw, self.text)) from None
        if self.lo is not None and not self.lo <= raw <= self.hi:
            raise ValueError("%r is out of range; expected %d to %d" % (raw, self.lo, self.hi))
        if self.ranges and not any(lo <= raw <= hi for lo, hi in self.ranges):
            those = ", ".join("%d to %d" % pair for pair in self.ranges)
            raise ValueError("%r is out of range; expected %s" % (raw, those))
        return raw

    def admits(self, other):
        """Whether values of the type `other` are values of this one."""
        if self.kind == "any":
            return True
        if self.kind == "choice":
            return any(t.admits(other) for t in self.alternatives)
        if self.kind != other.kind or self.tag != other.tag:
            return False
        if self.kind == "array":
            return self.element.admits(other.element)
        if self.kind == "structure":
            return len(self.fields) == len(other.fields) and all(
                a.admits(b) for (_, a), (_, b) in zip(self.fields, other.fields)
            )
        return self.size is None or self.size == other.size

    def encode(self, value):
        """A-XDR of a value (as coerce gives it)."""
        if self.kind in ("any", "choice"):
            return value.type.encode(value.value)
        if self.kind == "array":
            body = b"".join(self.element.encode(v) for v in value)
            return b"\x01" + length(len(value)) + body
        if self.kind == "structure":
            body = b"".join(t.encode(v) for (_, t), v in zip(self.fields, value))
            return bytes((0x02, len(value))) + body
        head = bytes((self.tag,))
        if self.tag == 0x00:
            return head
        if self.tag in CODES:
            return head + struct.pack(">" + CODES[self.tag], value)
        if self.tag in (0x19, 0x1A, 0x1B):
            return head + value
        if self.tag == 0x04:
            bits = value + "0" * (-len(value) % 8)
            body = bytes(int(bits[i : i + 8], 2) for i in range(0, len(bits), 8))
            return head + length(len(value)) + body
        body = value if isinstance(value, bytes) else value.encode("utf-8")
        return head + length(len(body)) + body


def octets(text, expected, size=None):
    """Octets of a text: hexadecimal after 0x, a logical name where six fit, else UTF-8."""
    if text.startswith("0x"):
        try:
            return bytes.fromhex(text[2:])
        except ValueError:
            raise ValueError("%r is not hexadecimal; expected %s" % (text, expected)) from None
    if size == 6:
        return logical_name(text)
    return text.encode("utf-8")


def logical_name(text):
    """Six octets of 'a.b.c.d.e.f'; f is 255 when left out."""
    parts = text.split(".") if isinstance(text, str) else []
    if len(parts) == 5:
        parts.append("255")
    if len(parts) != 6 or not all(p.isdecimal() and int(p) < 256 for p in parts):
        raise ValueError(
            "%r is no logical name; expected a.b.c.d.e or a.b.c.d.e.f, each 0 to 255" % (text,)
        )
    return bytes(int(p) for p in parts)


def obis(name):
    return ".".join(str(n) for n in name)


def merge(alternatives):
    """Alternatives of a CHOICE, one a tag: a walker tells them apart by their tags. Structures of
    one length become a structure of CHOICEs, a little wider than the Book. None: any Data."""
    by_tag = {}
    for t in alternatives:
        if t.kind in ("any", "choice") or t.tag == 0x13:
            return None
        by_tag.setdefault(t.tag, []).append(t)
    merged = []
    for same in by_tag.values():
        if len(same) == 1:
            merged.append(same[0])
        elif len({len(t.fields) for t in same}) == 1 and same[0].kind == "structure":
            one = Type(same[0].text, "structure", 0x02)
            for k, (name, t) in enumerate(same[0].fields):
                options = {u.fields[k][1].description(): u.fields[k][1] for u in same}
                if len(options) > 1:
                    t = Type("CHOICE", "choice")
                    t.alternatives = list(options.values())
                one.fields.append((name, t))
            merged.append(one)
        else:
            return None
    return merged


class Parser:
    """Recursive descent over the notation."""

    def __init__(self, text):
        self.text = text
        self.pos = 0

    def fail(self, expected):
        raise ValueError("type %r is not understood at %r; expected %s" % (
            self.text, self.text[self.pos :], expected))  # fmt: skip

    def take(self, pattern):
        found = re.compile(pattern).match(self.text, self.pos)
        if found:
            self.pos = found.end()
        return found

    def open(self, close):
        """One of the Book's words for 'any', up to `close`."""
        for words in sorted(OPEN, key=len, reverse=True):
            end = self.pos + len(words)
            if self.text.startswith(words, self.pos) and self.text.startswith(close, end):
                self.pos = end + len(close)
                return True
        return False

    def type(self):
        start = self.pos
        if self.take(r"array\["):
            t = Type("", "array", 0x01)
            t.element = (
                Type("any", "any") if self.open("]") else self.closed(self.type, r"\]", "]")
            )
        elif self.take(r"structure\{"):
            t = Type("", "structure", 0x02)
            if self.open("}"):
                t = Type("", "any")
            else:
                t.fields = self.closed(self.members, r"\}", "}")
        elif self.take(r"CHOICE\{"):
            t = Type("", "choice")
            if self.open("}"):
                t = Type("", "any")
            else:
                t.alternatives = [m for _, m in self.closed(self.members, r"\}", "}")]
        elif self.take(r"CHOICE\b"):
            t = Type("", "any")
            if self.take(" ") and not self.open(""):
                self.fail("what it is a CHOICE of")
        else:
            t = self.simple()
        t.text = self.text[start : self.pos]
        return t

    def closed(self, inside, pattern, close):
        result = inside()
        if not self.take(pattern):
            self.fail("'%s'" % close)
        return result

    def members(self):
        members = []
        while True:
            name = self.take(r"([A-Za-z0-9_/&-]+):")
            members.append((name.group(1) if name else "", self.type()))
            if not self.take(r", *"):
                return members

    def simple(self):
        word = self.take(r"[a-z][a-z0-9-]*")
        if not word or word.group() not in TAGS or word.group() in ("array", "structure"):
            if word:
                self.pos = word.start()
            self.fail(
                "a type of the Blue Book such as long-unsigned, or array[...], structure{...}"
            )
        t = Type("", "simple", TAGS[word.group()])
        size = self.take(r"\[(?:0\.\.)?(\d+)\]")
        if size:
            n = int(size.group(1))
            if t.tag not in STRINGS or n > 255 or (".." in size.group() and t.tag != 0x09):
                self.fail("a size of a string, 0 to 255")
            if ".." in size.group():
                t.most = n
            else:
                t.size = n
        # in round brackets: a date format, limits, or a remark such as "primary address"
        note = self.take(r"\(([^()]*)\)")
        if note:
            limits = re.match(r"(-?\d+)(?:\.\.(-?\d+))?", note.group(1))
            if note.group(1) in dates.UNSPECIFIED and t.tag == 0x09:
                t.format = note.group(1)
            elif limits and t.tag in INTEGERS:
                t.lo = int(limits.group(1))
                t.hi = int(limits.group(2) or limits.group(1))
        return t


_cache = {}


def parse_type(text):
    """Type of a text in the Book's notation. ValueError says where it is not understood."""
    if text not in _cache:
        if not isinstance(text, str):
            raise ValueError("type %r is no text; expected a type of the Blue Book" % (text,))
        if text in OPEN:
            t = Type(text, "any")
        else:
            parser = Parser(text)
            t = parser.type()
            parser.take(r"\([^()]*\)")  # array[long-unsigned](class_id list)
            if parser.pos != len(text):
                parser.fail("the end")
            t.text = text
        _cache[text] = t
    return _cache[text]


NULL = parse_type("null-data")
