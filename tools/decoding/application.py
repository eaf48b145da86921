# SPDX-License-Identifier: MIT
"""The APDUs of a conversation: which answer belongs to which request, long ones put together from
their blocks, protected ones opened.

    a = Application(keys, names)
    a.take(is_command, client, server, octets, start, end, hidden) -> Node of the APDU

What is put together is a child of the node that completes it, with octets of its own. Remembered
are, of each pair of addresses: what was asked under each invoke-id, the blocks of a transfer, and
what ciphering needs, system titles and the dedicated key.
"""

from . import apdu as tables
from .apdu import decode
from .data import DATA
from .ciphering import Keys, Session
from .composed import SequenceOf
from .fields import DATA_LIST, GOT
from .node import Fault, Node
from .pieces import field
from .schema import inside

_LONGEST = 1 << 20
_WIDTH = 64  # characters of a value, in a line
_HIDDEN = "hidden in the trace"
_LAST = 0x80  # of the block-control of general blocks
_WRITE_REQUEST = 0x06
_ASKED = 64  # requests whose answers may come
_PAIRS = 256  # of addresses
_GET_RESULTS = SequenceOf("Get-Data-Result", GOT)
_ACTION_RESULTS = tables.ACTION_RESPONSE[3][1].members[1][1]
# Who begins a transfer in blocks, and what the octets of all are: for one, for a list.
_SET_BLOCKS = {
    "set-request-with-first-datablock": DATA,
    "set-request-with-list-and-first-datablock": DATA_LIST,
    "set-request-with-datablock": None,
    "action-request-with-first-pblock": DATA,
    "action-request-with-list-and-first-pblock": DATA_LIST,
    "action-request-with-pblock": None,
}
_DESCRIPTORS = ("cosem-attribute-descriptor", "cosem-method-descriptor")
_LISTS = ("attribute-descriptor-list", "cosem-method-descriptor-list")


class _Pair:
    """A client and a server."""

    def __init__(self, keys):
        self.asked = {}  # invoke-id -> (text, is a list)
        self.blocks = {}  # (is_command, service) -> _Blocks
        self.session = Session(keys)


class _Blocks:
    def __init__(self, kind):
        self.kind = kind
        self.octets = b""  # of general blocks: by their numbers
        self.number = 0  # of the last one
        self.first = 1
        self.begun = True  # the first one has been seen


class Application:
    def __init__(self, keys=None, names=None):
        self.keys = Keys() if keys is None else keys
        self.names = names
        self._pairs = {}

    def forget(self, client, server):
        """The line was connected anew, or released."""
        self._pairs.pop((client, server), None)

    def gap(self):
        """APDUs are missing: nothing goes on with what was before."""
        for pair in self._pairs.values():
            pair.asked.clear()
            pair.blocks.clear()

    def _pair(self, client, server):
        pair = self._pairs.get((client, server))
        if pair is None:
            if len(self._pairs) >= _PAIRS:
                del self._pairs[next(iter(self._pairs))]
            pair = self._pairs[client, server] = _Pair(self.keys)
        return pair

    def take(self, is_command, client, server, octets, start, end, hidden=()):
        top = decode(octets, start, end)
        if hidden:
            hide(top, hidden)
        self._open(self._pair(client, server), is_command, top, octets, hidden)
        return top

    def _open(self, pair, is_command, top, octets, hidden=()):
        if not hidden:
            pair.session.decipher(top, octets, is_command is not False)
        if self.names is not None:
            self.names.annotate(top)
        self._follow(pair, is_command, top)

    # --- What an APDU means after those before --------------------------------------------------

    def _follow(self, pair, is_command, top):
        node = innermost(top)
        name = node.name
        if name == "general-block-transfer":
            self._general_block(pair, is_command, node)
            return
        if name in ("aarq", "initiateRequest"):
            pair.asked.clear()
            pair.blocks.clear()
            return
        invoke = node.children[0] if node.children else None
        if invoke is None or invoke.name not in (
            "invoke-id-and-priority", "long-invoke-id-and-priority"
        ):  # fmt: skip
            self._short_names(pair, is_command, node)
            return
        number = (invoke.value or 0) & (0x0F if invoke.name[0] == "i" else 0xFFFFFF)
        if name in _SET_BLOCKS:
            self._request_block(pair, is_command, node, number)
        elif name == "get-response-with-datablock":
            self._block(pair, is_command, node, node.get("result"), self._got(pair, number))
        elif name == "action-response-with-pblock":
            kind = _ACTION_RESULTS if pair.asked.get(number, ("", False))[1] else None
            self._block(pair, is_command, node, node.get("pblock"), kind)
        if "-request" in name:
            if not name.endswith(("-next", "-pblock", "-datablock")) or "first" in name:
                if len(pair.asked) >= _ASKED:
                    del pair.asked[next(iter(pair.asked))]
                pair.asked[number] = asked(node)
        elif "-response" in name and number in pair.asked and pair.asked[number][0]:
            node.text = "to %s" % pair.asked[number][0]

    def _got(self, pair, number):
        return _GET_RESULTS if pair.asked.get(number, ("", False))[1] else DATA

    def _request_block(self, pair, is_command, node, number):
        kind = _SET_BLOCKS[node.name]
        block = node.get("datablock") or node.get("pblock")
        self._block(pair, is_command, node, block, kind)

    def _block(self, pair, is_command, node, block, kind, raw=None):
        """A block of something long. kind: of what all of them are; raw: the node of the octets,
        where it is not the third of the block."""
        if block is None or len(block.children) < 2:
            return
        last, number, *octets = block.children
        raw = raw or (octets[0] if octets else None)
        while raw is not None and raw.children:
            raw = raw.children[0]
        if number.value is None or raw is None or raw.value.__class__ is not bytes:
            return
        key = (is_command, node.name.partition("-")[0])
        blocks = pair.blocks.get(key)
        if number.value <= 1:
            blocks = pair.blocks[key] = _Blocks(kind)
        elif blocks is None:
            node.text = "block %d; those before it are not here" % number.value
            return
        elif number.value == blocks.number:
            node.text = "block %d again" % number.value
            return
        elif number.value != blocks.number + 1:
            if number.error is None:
                sentence = "block %d; expected %d" % (number.value, blocks.number + 1)
                number.error = Fault(sentence, number.start)
            pair.blocks.pop(key)
            return
        blocks.number = number.value
        blocks.octets += raw.value
        if last.value or len(blocks.octets) > _LONGEST:
            pair.blocks.pop(key)
        if not last.value and len(blocks.octets) > _LONGEST:
            node.text = "%d octets in blocks: too many to put together" % len(blocks.octets)
        if last.value:
            self._together(node, blocks.octets, blocks.kind, blocks.number)

    def _together(self, node, octets, kind, n):
        """Hang what n blocks are, together, below the last of them."""
        if n == 1 and not octets:
            return
        whole = field("%d-blocks" % n, 0, len(octets), text="%d octets" % len(octets))
        whole.octets = octets
        if kind is None:
            # uncertain: what the blocks of an answer to one ACTION hold, the result or only the
            # return parameters: what fits.
            kind = next((k for k in (GOT, DATA) if _fits(k, octets)), DATA)
        inside(whole, kind, octets, 0, len(octets), "data")
        if self.names is not None:
            self.names.annotate(whole)
        node.children.append(whole)

    def _short_names(self, pair, is_command, node):
        """Read and Write: what the answer is to, and blocks. There are no invoke-ids."""
        name = node.name
        variables = node.get("variable-access-specification")
        if variables is not None and name in ("readRequest", "writeRequest"):
            texts = [child.text for choice in variables.children for child in choice.children]
            pair.asked[None] = (
                texts[0] if len(texts) == 1 else "%d variables" % len(texts),
                False,
            )
            for choice in variables.children:
                self._block(pair, is_command, node, choice.get("read-data-block-access"),
                            tables.VARIABLES)  # fmt: skip
                self._block(pair, is_command, node, choice.get("write-data-block-access"),
                            tables.TABLE[_WRITE_REQUEST][1], node.get("list-of-data"))  # fmt: skip
        elif name in ("readResponse", "writeResponse"):
            asked_for = pair.asked.get(None, ("", False))[0]
            if asked_for:
                node.text = "to %s" % asked_for
            for choice in node.children:
                self._block(pair, is_command, node, choice.get("data-block-result"),
                            tables.READ_RESPONSE)  # fmt: skip

    def _general_block(self, pair, is_command, node):
        """General block transfer: all blocks that there are, in the order of their numbers. What
        only acknowledges is a block, too, without octets."""
        if len(node.children) != 4 or any(child.value is None for child in node.children):
            return  # cut off
        control, number, acknowledged, data = node.children
        node.text = control.text
        if acknowledged.value:
            node.text += ", acknowledges %d" % acknowledged.value
        key = (is_command, "general")
        blocks = pair.blocks.get(key)
        if blocks is None or (number.value == 1 and data.value != blocks.octets.get(1)):
            blocks = pair.blocks[key] = _Blocks(None)
            blocks.octets = {}
            blocks.first = number.value
            blocks.begun = number.value == 1
        if number.value in blocks.octets:
            node.text += ", again"
        if number.value >= blocks.first:
            blocks.octets[number.value] = data.value
        if control.value & _LAST:
            blocks.number = number.value
        if sum(map(len, blocks.octets.values())) > _LONGEST:
            del pair.blocks[key]
            return
        wanted = range(blocks.first, blocks.number + 1)
        if not wanted or not all(k in blocks.octets for k in wanted):
            return
        octets = b"".join(blocks.octets[k] for k in wanted)
        begun = blocks.begun
        blocks.begun = True
        blocks.first = blocks.number + 1
        blocks.number = 0
        blocks.octets.clear()
        if not begun:
            node.text += ", those before it are not here"
        if not octets or not begun:
            return
        n = len(wanted)
        whole = field("%d-blocks" % n, 0, len(octets), text="%d octets" % len(octets))
        whole.octets = octets
        child = decode(octets)
        whole.children.append(child)
        node.children.append(whole)
        self._open(pair, is_command, child, octets)


def _fits(kind, octets):
    node = Node("", kind, None, 0, 0)
    inside(node, kind, octets, 0, len(octets), "")
    return not node.faults()


def asked(node):
    """(what a request asks for, whether it has a list), of a GET, SET, ACTION or ACCESS."""
    for name in _DESCRIPTORS:
        child = node.get(name)
        if child is not None:
            return child.text, False
    for name in _LISTS:
        child = node.get(name)
        if child is not None:
            n = len(child.children)
            return "%d in a list" % n, True
    return "", False


def content(node):
    """The node of what an APDU protects or passes on, or None."""
    name = node.name
    if name[:4] in ("glo-", "ded-"):
        return node.children[0].get("content") if node.children else None
    if name in ("general-glo-ciphering", "general-ded-ciphering", "general-ciphering"):
        outer = node.get("ciphered-service") or node.get("ciphered-content")
        return outer.children[0].get("content") if outer is not None and outer.children else None
    if name == "general-signing":
        return node.get("content")
    return node.get("user-apdu") if name[:7] == "gateway" else None


def innermost(node):
    """The APDU within all protection and gateways that could be opened."""
    while True:
        inner = content(node)
        if inner is None or not inner.children or inner.children[0].name not in tables.BY_NAME:
            return node
        node = inner.children[0]


def summary(node):
    """An APDU in a line, and what is in it."""
    text = _line(node)
    inner = content(node)
    if inner is not None:
        if inner.children and inner.children[0].name in tables.BY_NAME:
            text += " > " + summary(inner.children[0])
        elif inner.text:
            text += ": " + inner.text
    for child in node.children:
        if child.name.endswith("-blocks") and child.children:
            first = child.children[0]
            text += "; %s: %s" % (
                child.name, summary(first) if first.name in tables.BY_NAME else _value(first)
            )  # fmt: skip
    return text


def _line(node):
    parts = []
    target, _ = asked(node)
    if target:
        parts.append(target)
    if node.text:
        parts.append(node.text)
    for child in node.children:
        noted = _NOTED.get(child.name)
        text = noted(child) if noted else ""
        if text:
            parts.append(text)
    if node.error:
        parts.append(str(node.error))
    return "%s: %s" % (node.name, ", ".join(parts)) if parts else node.name


def _value(node):
    """A value for a line."""
    if node.type in ("DataBlock-G", "DataBlock-SA"):
        parts = ["block %s" % node.children[1].value] if len(node.children) > 1 else []
        if node.children and node.children[0].value:
            parts.append("the last")
        if len(node.children) > 2:
            parts.append(_value(node.children[2]))
        return ", ".join(parts)
    if node.name == "raw-data":
        return "%d octets" % len(node.value or b"")
    if node.children and node.type in ("Get-Data-Result", "CHOICE"):
        return _value(node.children[0])
    if node.children:
        return "%s of %d" % (node.type, len(node.children))
    if node.text:
        return node.text if len(node.text) <= _WIDTH else node.text[:_WIDTH] + "..."
    if isinstance(node.value, (bytes, bytearray)):
        text = bytes(node.value[:16]).hex().upper()
        return text + ("..." if len(node.value) > 16 else "")
    return "" if node.value is None else str(node.value)


_NOTED = {
    "result": _value,
    "data": _value,
    "value": _value,
    "state-error": _value,
    "service-error": _value,
    "application-context-name": _value,
    "mechanism-name": _value,
    "block-number": lambda node: "block %s" % node.value,
    "variable-access-specification": lambda node: ", ".join(
        child.text for choice in node.children[:4] for child in choice.children
    ),
    "datablock": _value,
    "pblock": _value,
}


def hide(node, hidden):
    """Leave out of a tree what nobody has seen: octets that a trace has written as **."""
    _hide(node, frozenset(hidden), max(hidden) + 1)


def _hide(node, missing, end):
    """True: something of this node is hidden."""
    kept = []
    found = False
    for child in node.children:
        if child.start in missing:
            # What follows in this node may be anything.
            kept.append(field("hidden", child.start, max(child.end, end), text=_HIDDEN))
            found = True
            break
        if _hide(child, missing, end):
            found = True
            if not child.children:
                child = field(child.name, child.start, child.end, text=_HIDDEN)
        kept.append(child)
    node.children = kept
    if not found and not any(k in missing for k in range(node.start, node.end)):
        return False
    node.error = None
    node.text = _HIDDEN if not kept else ""
    return True
