# SPDX-License-Identifier: MIT
"""Octets of links, decoded: a line for each message, and its tree while it is kept.

What is read from, written to or handed to what firmware/links/trace.py names a secret is hidden,
in its line and in its tree (trees.py).
"""

import collections
import re
import time

from decoding.conversation import Conversation
from firmware.links.trace import is_secret

from live import trees

_KEPT = 2000
_SERVICES = (
    ("get", "get-"), ("set", "set-"), ("action", "action-"), ("access", "access-"),
    ("read", "read(Request|Response)"), ("write", "(w|unconfirmedW)rite(Request|Response)"),
    ("association", "(aarq|aare|rlrq|rlre)$"),
    ("notification", "data-notification|event-notification|informationReport"),
    ("error", "exception-response|confirmedServiceError"),
    ("protected", "(glo|ded|general|gateway)-"),
)  # fmt: skip
_SERVICES = [(service, re.compile(pattern)) for service, pattern in _SERVICES]
_REQUEST = re.compile("(?i).*request($|-)")
_GOES_ON = re.compile(".*(-next|-with-datablock|-with-pblock|-next-pblock)$")
# A line has an arrow beside its name.
_LABEL = re.compile("-(request|response|normal|with-datablock|with-pblock)|(Request|Response)$")
_METHOD = "Cosem-Method-Descriptor"
_DESCRIPTORS = ("Cosem-Attribute-Descriptor", _METHOD)
_VALUES = ("data", "attribute-value", "notification-body")
_CONFIRMED = 0x40  # of invoke-id-and-priority
_LONGEST = 60
_LAYERS = {"hdlc": "HDLC", "wrap": "wrapper"}  # by the kind of a link


def find_apdu(unit):
    """(APDU, service): the first that is not only around another, or (None, layer)."""
    around = None
    for node in unit.walk():
        for service, pattern in _SERVICES:
            if pattern.match(node.name):
                if service != "protected":
                    return node, service
                around = around or node
    if around is not None:
        return around, "protected"
    return None, {"HDLC": "frame"}.get(unit.layers[0][0], unit.layers[0][0] or "octets")


class _Link:
    def __init__(self, conversation):
        self.conversation = conversation
        self.asked = []  # descriptors of the last request: class_id, logical name, index
        self.secret = False  # the last request is about a secret, or one that waits with it
        self.waiting = 0  # requests without an answer yet

    def asks(self, asked, secret):
        self.asked = asked
        self.secret = secret or (self.secret and self.waiting > 0)

    def answered(self):
        self.waiting = max(0, self.waiting - 1)


class Talk:
    """keys: None, or decoding.ciphering.Keys, for what is protected."""

    def __init__(self, facts, keys=None):
        self._facts = facts
        self._keys = keys
        self._links = {}
        self._kept = collections.OrderedDict()  # number of a line: arguments of trees.show()
        self._n = 0

    def open(self, link):
        self._links[link.number] = _Link(Conversation(self._keys))

    def close(self, link):
        self._links.pop(link.number, None)

    def lost(self):
        """Octets are missing: what was not whole will not be, and what is answered next may be a
        secret."""
        for link in self._links.values():
            link.conversation.gap()
            link.secret, link.waiting = True, 0

    def octets(self, event):
        """The lines of what an event has completed."""
        if event.fault == "drop":
            line = self._line(event, len(event.octets), "dropped", "fault")
            line.update(text="a fault has kept this answer here", bad=True)
            return [line]
        if event.fault is not None:
            return []
        if event.link.number not in self._links:
            self.open(event.link)
        link = self._links[event.link.number]
        units = link.conversation.octets("tx" if event.sent else "rx", event.octets, event.time)
        return [self._message(link, event, unit) for unit in units]

    def tree(self, n):
        """What a line is made of, as trees.show() says it, or None: it is not kept any more."""
        kept = self._kept.get(n) if isinstance(n, int) else None
        return kept and {"n": n, **trees.show(*kept)}

    # --- Lines --------------------------------------------------------------------------------

    def _line(self, event, n_octets, what, service):
        self._n += 1
        ms = int(event.time * 1000) % 1000
        return {
            "n": self._n,
            "time": "%s.%03d" % (time.strftime("%H:%M:%S", time.localtime(event.time)), ms),
            "link": event.link.kind,
            "peer": event.link.peer,
            "client": None,
            "way": "tx" if event.sent else "rx",
            "what": what,
            "label": _LABEL.sub("", what),
            "service": service,
            "text": "",
            "note": "",
            "result": "",
            "bad": False,
            "octets": n_octets,
        }

    def _message(self, link, event, unit):
        apdu, service = find_apdu(unit)
        line = self._line(event, len(unit.octets), apdu.name if apdu else unit.name, service)
        line["client"] = unit.client
        # Whoever gets a frame with a wrong check drops it, and nobody can say what is in it, or in
        # what is no frame.
        layer = unit.layers[0][0]
        spoilt = unit.error or layer != _LAYERS.get(event.link.kind[:4], layer)
        spoilt = spoilt or any(part.error for part in unit.children if part is not apdu)
        secret = link.secret
        if apdu is None or spoilt:
            self._frame(unit, line)
        elif service == "notification":
            asked, has_secret = self._about(apdu, line)
            secret = secret or has_secret
            self._results(asked, secret, apdu, line)
        elif _REQUEST.match(apdu.name):
            secret = self._request(link, apdu, line)
        elif service == "association":
            self._association(link, apdu, line)
            secret = False
        else:
            self._answer(link, unit, apdu, line)
        faults = unit.faults()
        if faults:
            line.update(bad=True, result=str(faults[0][1]))
        self._kept[line["n"]] = (unit, apdu, secret, bool(spoilt))
        if len(self._kept) > _KEPT:
            self._kept.popitem(last=False)
        return line

    def _frame(self, unit, line):
        """What has no APDU: a frame of the line, a message of IEC 62056-21."""
        layer, text = unit.layers[0]
        if layer == "HDLC":
            line["label"], _, text = text.partition(",")
            line["label"], colon, more = line["label"].partition(":")
            text = ", ".join(filter(None, [more.strip(), text.strip()]))
            text = ", ".join([text, *(words for name, words in unit.layers[1:] if name == layer)])
        elif layer == "62056-21":
            text = trees.HIDDEN if trees.is_password(unit) else unit.text
        line["text"] = text

    def _request(self, link, apdu, line):
        """Is it about a secret, or may another answer be, that comes first?"""
        asked, secret = self._about(apdu, line)
        if asked is not None or not _GOES_ON.match(apdu.name):
            link.asks(asked or [], secret)
        how = apdu.get("invoke-id-and-priority")
        if how is None or how.value is None or how.value & _CONFIRMED:
            link.waiting += 1
        return link.secret

    def _about(self, apdu, line):
        """(descriptors that it has, None: neither these nor short names; are they of a secret?)"""
        found = [node for node in apdu.walk() if node.type in _DESCRIPTORS]
        names = [node.value for node in apdu.walk() if node.name == "variable-name"]
        asked = [_descriptor(node) for node in found]
        secret = any(name in self._facts.secret_names for name in names)
        for node, key in zip(found, asked):
            secret = secret or key is None or is_secret(key, 0, node.type == _METHOD)
        if found:
            name = _name(asked[0])
            line["text"] = found[0].text.replace(".255 ", " ")
            line["note"] = self._facts.notes.get(name, "")
            if line["note"]:
                # What it is says more than of which class it is.
                line["text"] = line["text"].partition(" %s " % name.removesuffix(".255"))
                line["text"] = "".join(line["text"][1:]).strip()
            if len(found) > 1:
                line["note"] += ", and %d more" % (len(found) - 1)
        elif names:
            line["text"] = ", ".join("0x%04X" % (name or 0) for name in names[:4])
        block = next((node for node in apdu.walk() if node.name == "block-number"), None)
        if block is not None:
            line["text"] += " block %s" % block.value
        return asked if found or names else None, secret

    def _association(self, link, apdu, line):
        if apdu.name in ("aarq", "rlrq"):
            link.asks([], False)
            link.waiting += 1
        else:
            link.answered()
        line["text"] = ", ".join(
            node.text
            for node in apdu.children
            if node.name in ("application-context-name", "mechanism-name") and node.text
        )
        result = apdu.get("result")
        if result is not None:
            words = [result.text or str(result.value)]
            line["bad"] = bool(result.value)
            if line["bad"]:
                words += [node.text for node in apdu.walk() if node.name[:13] == "acse-service-"]
            line["result"] = ", ".join(filter(None, words))

    def _answer(self, link, unit, apdu, line):
        # A general block that does not complete an APDU answers nothing.
        if unit.direction == "tx" and apdu.name != "general-block-transfer":
            link.answered()
        self._results(link.asked, link.secret, apdu, line)

    def _results(self, asked, secret, apdu, line):
        if secret:
            line["result"] = trees.HIDDEN
            return
        words = []
        for node in apdu.walk():
            if node.name == "block-number":
                line["text"] = "block %s" % node.value
            elif node.type in ("Data-Access-Result", "Action-Result", "ENUMERATED"):
                words.append(node.text or str(node.value))
                line["bad"] = line["bad"] or bool(node.value)
            elif node.name in _VALUES and node.type != "CHOICE":
                words.append(self._value(asked or [], len(words), node))
        line["bad"] = line["bad"] or line["service"] == "error"
        if len(words) > 1:
            line["text"] = "%d results" % len(words)
        text = ", ".join(words)
        line["result"] = text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"

    def _value(self, asked, n, node):
        """A value for a line: with its unit where the definition says which."""
        key = asked[n] if n < len(asked) else None
        if key and type(node.value) is int:
            known = self._facts.by_id.get(
                "%d/%s/%d" % (key[0] << 8 | key[1], _name(key).removesuffix(".255"), key[8])
            )
            if known:
                return ("%s %s" % (known.text(node.value), known.unit)).strip()
        if node.children:
            return "%s, %s" % (node.type, node.text)
        return trees.scalar(node)


def _descriptor(node):
    """class_id, logical name, index as octets, as trace.is_secret() takes them."""
    try:
        class_id, name, index = (child.value for child in node.children)
        return bytes((class_id >> 8, class_id & 0xFF, *name, index & 0xFF))
    except (TypeError, ValueError):
        return None


def _name(key):
    return ".".join(map(str, key[2:8])) if key else ""
