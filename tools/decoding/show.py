# SPDX-License-Identifier: MIT
"""Trees for people and for programs.

    Text(write, colour, brief)   .unit(unit): as a tree: offset, octets, name, what it means
    lines(unit)                  the layers of a unit, a line each

Octets of passwords and keys are not shown.
"""

_OCTETS = 8  # of a field, on a line; more of them are counted
_COLOURS = {
    "head": "\x1b[1m", "rx": "\x1b[36m", "tx": "\x1b[32m", "bad": "\x1b[1;31m", "end": "\x1b[0m",
}  # fmt: skip
_HEX_WIDTH = 3 * _OCTETS + 1
_ARROWS = {"rx": "client -> meter", "tx": "meter -> client"}


def plain(text):
    """Without characters that a terminal would obey."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else "<%02X>" % ord(c) for c in text)


def layer(label, text):
    return ("%s  %s" % (label, text)).rstrip() if label else text


def lines(unit):
    return [layer(*both) for both in unit.layers]


def value_of(node):
    """What a field is, as text."""
    kind = node.kind
    if kind.secret:
        return node.text
    text = node.text
    value = node.value
    if value is None or node.type == "field":
        return text
    if value.__class__ is bytes:
        if node.children or text:
            return text
        shown = value[:24].hex(" ").upper()
        return shown + " ..." if len(value) > 24 else shown
    if value.__class__ is str:
        return '"%s"' % value if value != text else text
    if not text or value.__class__ is bool:
        return text or str(value)
    shown = str(value)
    return text if shown in text else "%s: %s" % (shown, text)


class Text:
    """write(text): takes lines; brief: no trees."""

    def __init__(self, write, colour=False, brief=False):
        self.write = write
        self.brief = brief
        self.mark = _COLOURS if colour else dict.fromkeys(_COLOURS, "")

    def unit(self, unit):
        mark = self.mark
        out = []
        where = _ARROWS.get(unit.direction, "")
        if unit.client is not None and unit.direction:
            ends = ("client %s" % unit.client, "server %s" % unit.server)
            where = "%s -> %s" % (ends if unit.direction == "rx" else ends[::-1])
        head = [str(unit.line) if unit.line else "", unit.time or "", where, unit.link]
        colour = mark.get(unit.direction, mark["head"])
        bad = mark["bad"] + "  !!" + mark["end"] if next(_faults(unit), None) else ""
        out.append("%s%s%s%s" % (colour, plain("  ".join(filter(None, head))), mark["end"], bad))
        for label, text in unit.layers:
            out.append("    %s%s%s" % (mark["head"], plain(layer(label, text)), mark["end"]))
        if not self.brief:
            hidden = frozenset(unit.hidden)
            self._tree(out, unit, unit.octets, hidden, 0, skip=True)
        elif bad:
            for node in _faults(unit):
                out.append("        %s%s%s" % (mark["bad"], plain(_sentence(node)), mark["end"]))
        out.append("")
        self.write("\n".join(out) + "\n")

    def _tree(self, out, node, octets, hidden, depth, skip=False):
        mark = self.mark
        own = node.octets
        if own is not None and not skip:
            octets = own
            hidden = frozenset()
        start, end = node.start, node.end
        if not skip:
            children = node.children
            # A node that is made of others shows the octets before the first of them only.
            if children and own is None:
                first = children[0]
                stop = first.start if first.octets is None and first.start >= start else end
            else:
                stop = end if own is None else start
            n = stop - start
            if n > 0:
                shown = octets[start : min(stop, start + _OCTETS)].hex(" ").upper()
                if node.kind.secret:
                    shown = "**"
                elif hidden:
                    shown = " ".join(
                        "**" if start + k in hidden else x for k, x in enumerate(shown.split())
                    )
                if n > _OCTETS and shown != "**":
                    shown = shown[:-3] + ".."
            else:
                shown = ""
            text = value_of(node)
            name = node.name or node.type
            if node.name and hasattr(node.kind, "tag"):
                name += " (%s)" % node.type  # of a Data
            line = "  %5d  %-*s%s%s" % (start, _HEX_WIDTH, shown, "  " * depth, name)
            if text:
                line += ": " + plain(text)
            if own is not None:
                line += " (%d octets, counted from 0)" % len(own)
            out.append(line)
        error = node.error
        if error is not None:
            at = error.at
            out.append(
                "%s  %5d  %-*s%s^ %s%s" % (
                    mark["bad"], at, _HEX_WIDTH, octets[at : at + 1].hex().upper(),
                    "  " * depth, plain(str(error)), mark["end"],
                )
            )  # fmt: skip
        if not skip:
            depth += 1
        for child in node.children:
            self._tree(out, child, octets, hidden, depth)


def _faults(unit):
    for node in unit.walk():
        if node.error is not None:
            yield node


def _sentence(node):
    return "at %d, %s: %s" % (
        node.error.at,
        node.name or node.type,
        node.error,
    )
