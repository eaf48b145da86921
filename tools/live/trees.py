# SPDX-License-Identifier: MIT
"""Trees of messages for a browser, without secrets.

    show(unit, apdu, secret, spoilt)    {"nodes": [node], "hex": [octets as text, ...]}
    node                          {"name", "type", "text", "children"} and, where its octets are
                                  shown, "b": in which text, "start", "end"; "error": a sentence

secret: what the APDU asks for, brings or answers is one. Then only its descriptors are shown.
spoilt: the frame has a wrong check, or none: no octet of it is shown.
Hidden without being asked are what the decoder knows as secrets (passwords, dedicated keys),
passwords of IEC 62056-21, and the octets of what is not whole, for nobody can say what it has.
Hidden octets are **, and so are a check of sixteen bits over them, and whatever they came in.
"""

HIDDEN = "hidden"
_OPEN = (
    "invoke-id-and-priority", "long-invoke-id-and-priority", "cosem-attribute-descriptor",
    "cosem-method-descriptor", "attribute-descriptor-list", "cosem-method-descriptor-list",
    "last-block", "block-number", "variable-name",
)  # fmt: skip
_FRAMED = ("HDLC", "62056-21")
_SOH = 0x01


def is_password(unit):
    """Is it a command of IEC 62056-21 with a password, or one that may write it?"""
    if unit.layers[0][0] != "62056-21":
        return False
    head = bytes(octet & 0x7F for octet in unit.octets)[:3]
    return head[:1] == bytes((_SOH,)) and head[1:2] in (b"P", b"W") and head[2:3] != b"0"


def scalar(node):
    """The value of a node without children as text."""
    if node.kind.secret:
        return HIDDEN
    if node.text:
        return node.text
    if isinstance(node.value, (bytes, bytearray)):
        return bytes(node.value).hex(" ") or "empty"
    return "" if node.value is None else str(node.value)


class _Octets:
    """What nodes count in."""

    def __init__(self, octets):
        self.octets = octets
        self.hidden = False
        self._dark = set()

    def hide(self, start, end):
        self.hidden = True
        self._dark.update(range(start, end))

    def show(self, start, end):
        self._dark.difference_update(range(start, end))

    def text(self):
        return "".join(
            "**" if k in self._dark else "%02X" % octet for k, octet in enumerate(self.octets)
        )


class _Tree:
    def __init__(self, unit, apdu, secret, spoilt):
        self.unit = unit
        self.apdu = apdu
        self.secret = secret or spoilt
        self.spoilt = spoilt
        self.buffers = []

    def node(self, node, buffer, dark):
        """As JSON. buffer: what it counts in; dark: nothing of it is shown."""
        if node.octets is not None:
            buffer = _Octets(node.octets)
            self.buffers.append(buffer)
        n = self.buffers.index(buffer)
        shown = {"name": node.name or node.type, "type": node.type if node.name else ""}
        shown.update(b=n, start=node.start, end=node.end)
        if node.kind.secret or dark or self._is_raw(node):
            buffer.hide(node.start, node.end)
            shown["text"] = HIDDEN
            if node.name != "block-data":
                return shown
        else:
            shown["text"] = node.text if node.children else scalar(node)
            if node.type == "field":
                shown["type"] = ""
        if node.error is not None:
            shown["error"] = str(node.error)
        secret = self.secret and node is self.apdu
        if secret:
            # What could not be told apart, too.
            buffer.hide(node.start, self._end(buffer))
            for child in node.children:
                if child.name in _OPEN:
                    buffer.show(child.start, child.end)
        children = []
        for child in node.children:
            before = len(self.buffers)
            children.append(self.node(child, buffer, secret and child.name not in _OPEN))
            if any(inner.hidden for inner in self.buffers[before:]):
                buffer.hide(node.start, node.end)  # it came in here
        shown["children"] = children
        return shown

    def _end(self, buffer):
        """Of what there may be of the APDU in it."""
        if buffer is self.buffers[0]:
            for part in self.unit.children:
                if part.name == "information":
                    return part.end
        return len(buffer.octets)

    def _is_raw(self, node):
        """Octets that nobody has looked into."""
        return node.name == "block-data" or (node.name == "information" and self.apdu is None)

    def show(self):
        unit = self.unit
        if is_password(unit):
            node = {"name": unit.name, "type": "", "text": HIDDEN + ": a password", "children": []}
            return {"nodes": [node], "hex": ["**" * len(unit.octets)]}
        tree = self.node(unit, None, False)
        whole = self.buffers[0]
        if (
            self.spoilt
            or self.apdu is None
            and (unit.layers[0][0] not in _FRAMED or unit.faults())
        ):
            whole.hide(0, len(whole.octets))
        if whole.hidden:
            for check in unit.children:
                if check.name in ("FCS", "BCC"):
                    whole.hide(check.start, check.end)
                    check_shown = tree["children"][unit.children.index(check)]
                    check_shown["text"] = HIDDEN
        return {"nodes": [tree], "hex": [buffer.text() for buffer in self.buffers]}


def show(unit, apdu, secret, spoilt):
    return _Tree(unit, apdu, secret, spoilt).show()
