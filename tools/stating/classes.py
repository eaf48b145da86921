# SPDX-License-Identifier: MIT
"""Interface classes, as Markdown: each version with its attributes and methods."""

import tables

_SHORT = 110  # characters of a type in a cell
_DATA = 1  # has no behaviour, and needs none


def shortened(text):
    text = text.replace("|", "\\|")
    cut = text.rfind(",", 0, _SHORT)
    return text if len(text) <= _SHORT or cut < 0 else text[:cut] + ",..."


def behaviour(v):
    if v.module:
        return "behaves (`lib/cosem/%s.py`)" % v.module
    return "behaves" if v.class_id == _DATA else "kept, with nothing behind it"


def attribute_row(k, a):
    marks = [word for word in ("computed",) if getattr(a, word)]
    if a.selectors:
        marks.append("selective access %s" % ", ".join(str(s) for s in a.selectors))
    return "| %d | %s | `%s` | %s | %s |" % (
        k, a.name, shortened(a.type.text), a.access, ", ".join(marks),
    )  # fmt: skip


def method_text(k, m, v):
    what = "" if m.mandatory else ", optional"
    parameter = "`%s`" % shortened(m.parameter.text) if m.parameter else "none"
    return "%d %s (%s%s)" % (k, m.name, parameter, what)


def lines():
    """A section a class."""
    out = []
    for c in sorted(tables.load_classes().values(), key=lambda c: c.class_id):
        out += ["### %d %s" % (c.class_id, c.name), ""]
        for number, v in sorted(c.versions.items(), reverse=True):
            out += version(c, number, v)
    return out


def version(c, number, v):
    name = "" if v.name == c.name else ", named %s" % v.name
    age = "" if v is c.current else ", older"
    out = ["**Version %d**%s%s: clause %s; %s." % (number, age, name, v.clause, behaviour(v)), ""]
    out += ["| | attribute | type | default | |", "|---|---|---|---|---|"]
    out += [attribute_row(k, a) for k, a in sorted(v.attributes.items())]
    methods = [method_text(k, m, v) for k, m in sorted(v.methods.items())]
    return [*out, "", "Methods: %s." % ("; ".join(methods) if methods else "none"), ""]
