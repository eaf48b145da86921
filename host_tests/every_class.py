# SPDX-License-Identifier: MIT
"""A definition with an object of every version of every interface class, of the class files."""

import functools
import tempfile
from pathlib import Path

import tables
from tables.notation import INTEGERS, NAMES

CLASSES = tables.load_classes()
VERSIONS = [(c.class_id, v) for c in CLASSES.values() for v in sorted(c.versions)]

HEAD = """name = "every"
[limits]
associations = 2
work_len = 512
max_send_pdu = 2000
max_receive_pdu = 2000
[[device]]
name = "one"
sap = 1
[access]
all = {everybody = "r w x"}
[[association]]
device = "one"
client_sap = 16
object = "0.0.40.0.0"
mechanism = 0
role = "everybody"
conformance = ["get", "set", "action", "selective-access", "block-transfer-with-get-or-read"]
[[objects]]
device = "one"
access = "all"
list = [
{class = 1, obis = "0.0.42.0.0", value = "octet-string:PMT0000000000000"},
{class = "Association LN", obis = "0.0.40.0.0"},
{class = "Clock", obis = "0.0.1.0.0"},
"""


def name_of(class_id, version):
    """The logical name of the object of a version of a class."""
    return "0.%d.9.%d.1.255" % (version, class_id)


def sample(t):
    """A value of type t, no default, as a definition writes it."""
    if t.kind == "any":
        return '"long-unsigned:258"'
    if t.kind == "choice":
        first = next(u for u in t.alternatives if u.tag not in (0x00, 0x13))
        return '{type = "%s", value = %s}' % (first.text, sample(first))
    if t.kind == "array":
        return "[%s]" % sample(t.element)
    if t.kind == "structure":
        return "[%s]" % ", ".join(sample(f) for _, f in t.fields)
    if t.tag in INTEGERS:
        return str(t.hi if t.lo is not None else 1)
    name = t.format or NAMES[t.tag]
    if name in ("date-time", "date", "time"):
        return {"date": '"2024-02-29"', "time": '"12:34:56"'}.get(name, '"2024-02-29 12:34:56"')
    if name == "boolean":
        return "true"
    if name.startswith("float"):
        return "1.5"
    if name == "bit-string":
        return '"%s"' % ("10" * 4)[: t.size or 8]
    if name == "octet-string":
        return '"0x%s"' % ("01" * (t.size or min(t.most or 3, 3)))
    return '"%s"' % ("a" * (t.size or 3))


def line(class_id, version, values):
    """The object of a version of a class. values: where nothing acts on them, each attribute has
    one that is no default."""
    v = CLASSES[class_id].versions[version]
    more = ""
    if class_id == 7 and v.module:
        more = ', profile_entries = 1, capture_objects = ["8/0.0.1.0.0.255/2"]'
    elif values and not v.module:
        given = ['"%s" = %s' % (a.name, sample(a.type)) for k, a in v.attributes.items() if k > 1]
        more = ", values = {%s}" % ", ".join(given)
    head = '{class = %d, version = %d, obis = "%s"' % (
        class_id,
        version,
        name_of(class_id, version),
    )
    return head + more + "},\n"


@functools.lru_cache(maxsize=None)
def path(values):
    """The definition as a file."""
    name = Path(tempfile.mkdtemp()) / "every.toml"
    name.write_text(HEAD + "".join(line(*which, values) for which in VERSIONS) + "]\n")
    return name
