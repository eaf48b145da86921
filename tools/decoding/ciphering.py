# SPDX-License-Identifier: MIT
"""What is inside of protected APDUs (IEC 62056-5-3, 5.3): deciphered, authenticated, verified.

    keys = Keys.read("sheet.json")
    session = Session(keys)
    node = session.decode(octets, to_meter=True)     for each APDU of an association, in turn

Session.decode() is apdu.decode(), and then: below "content" of what is protected, the APDU that it
holds (its node has `octets` of its own); text that says with which key; a Fault where a tag or a
signature does not match. The session learns the system titles, the dedicated key and certificates
from AARQ and AARE as they pass; where it does not know them (the trace began later), every system
title that Keys has is tried. Of the AAD of general-ciphering, see /lib/dlms/identified.py.

Not deciphered: compression (V.44).
"""

import itertools

from cryptography import x509
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.concatkdf import ConcatKDFHash
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap

from . import apdu
from .fields import TAG_LEN
from .keys import AGREE, SIGN, Keys, point, subject
from .node import Fault
from .schema import put_length

__all__ = ("Keys", "Session")

_AUTHENTICATED, _ENCRYPTED, _BROADCAST, _COMPRESSED = 0x10, 0x20, 0x40, 0x80
_SUITE = 0x0F
_KEY_LEN = {0: 16, 1: 16, 2: 32}
# suite -> hash, and the algorithm that a key is agreed for
_AGREED = {1: (hashes.SHA256, bytes.fromhex("60857405080300")),
           2: (hashes.SHA384, bytes.fromhex("60857405080301"))}  # fmt: skip
_SIGNED = {32: hashes.SHA256, 48: hashes.SHA384}  # by the octets of a number
_ONE_PASS, _STATIC = 1, 2
_WRONG = "authentication tag does not match: wrong key, wrong system title, or damaged"
_WRONG_AK = ("authentication tag does not match, but the content is an APDU: wrong authentication"
             " key, or damaged")  # fmt: skip
_NO_APDU = "the content is no APDU: wrong key, wrong system title, or damaged"
_WORDS = {"guek": "global unicast encryption key", "gbek": "global broadcast encryption key",
          "dedicated": "dedicated key"}  # fmt: skip
_BY_KEY_ID = ("guek", "gbek")


class Key:
    """An encryption key to try, with its authentication key, and words for it."""

    def __init__(self, octets, gak, words):
        self.octets = octets
        self.gak = gak or b""
        self.words = words

    def __repr__(self):
        return "<%s>" % self.words


class Session:
    """What is known of one association. client, server: system titles, or None; dedicated: a key,
    or None."""

    def __init__(self, keys=None, client=None, server=None):
        self.keys = Keys() if keys is None else keys
        self.client = client
        self.server = server
        self.dedicated = None
        self.public = {}  # as that of Keys, from certificates in AARQ and AARE

    def __repr__(self):
        titles = [title.hex() if title else "?" for title in (self.client, self.server)]
        return "<session of %s and %s>" % tuple(titles)

    def decode(self, octets, to_meter=True):
        """As apdu.decode(). to_meter: it goes to the meter, False: it comes from it."""
        octets = bytes(octets)
        node = apdu.decode(octets)
        self.decipher(node, octets, to_meter)
        return node

    def decipher(self, node, octets, to_meter=True):
        """Hang what is inside below what is protected; octets: those that node was decoded
        from."""
        name = node.name
        if name in ("aarq", "aare"):
            self._learn(node)
        elif name == "initiateRequest":
            key = node.get("dedicated-key")
            self.dedicated = key.value if key is not None else None
        if name.startswith("glo-") or name.startswith("ded-"):
            self._protected(node, octets, to_meter, self._sender(to_meter), name[:3] == "ded")
        elif name in ("general-glo-ciphering", "general-ded-ciphering"):
            title = self._title(node.get("system-title"), to_meter)
            self._protected(node.get("ciphered-service"), octets, to_meter, title,
                            name == "general-ded-ciphering")  # fmt: skip
        elif name == "general-ciphering":
            self._general(node, octets, to_meter)
        elif name == "general-signing":
            self._signing(node, octets, to_meter)
        for holder in ("user-information", "content", "user-apdu"):
            found = node.get(holder)
            if found is not None and found.children:
                self.decipher(found.children[0], octets, to_meter)

    # --- Who says it

    def _sender(self, to_meter):
        return self.client if to_meter else self.server

    def _title(self, node, to_meter):
        """The sender's title: what the APDU says of it, else what is known."""
        if node is None or node.value is None or len(node.value) != 8:
            return self._sender(to_meter)
        if self._sender(to_meter) is None:
            if to_meter:
                self.client = node.value
            else:
                self.server = node.value
        return node.value

    def _learn(self, node):
        calls = node.name == "aarq"
        if calls:
            self.dedicated = None
        who = "calling" if calls else "responding"
        title = node.get(who + "-AP-title")
        if title is not None and len(title.value or b"") == 8:
            if calls:
                self.client = title.value
            else:
                self.server = title.value
        qualifier = node.get(who + "-AE-qualifier")
        if qualifier is not None and qualifier.value:
            try:
                certificate = x509.load_der_x509_certificate(qualifier.value)
                title, kinds = subject(certificate)
                key = certificate.public_key()
            except Exception:  # whatever cryptography makes of somebody's octets
                qualifier.text = "no certificate that can be read"
                return
            qualifier.text = "certificate of %s" % title.hex().upper()
            for kind in kinds:
                if isinstance(key, ec.EllipticCurvePublicKey):
                    self.public[title, kind] = [key]

    # --- Symmetric keys

    def _sets(self, *titles):
        """Sets of keys, those of a meter with one of these titles first."""
        known = [title for title in (self.server, *titles) if title]
        return sorted(self.keys.sets, key=lambda s: s.title not in known)

    def _protected(self, outer, octets, to_meter, title, dedicated):
        """outer: the node of the octet string that holds what is protected."""
        inner = whole(outer)
        if inner is None:
            return
        control = inner.children[0].value
        name = "gbek" if control & _BROADCAST else "guek"
        sets = self._sets(title)
        tries = []
        if dedicated:
            name = "dedicated"
            gaks = [s.gak for s in sets] or [b""]
            tries = [Key(self.dedicated, gak, _WORDS[name]) for gak in gaks]
        tries += [Key(getattr(s, name), s.gak, _words(name, s)) for s in sets]
        self._try(tries, inner, octets, to_meter, title, b"", "no %s" % _WORDS[name])

    def _try(self, tries, inner, octets, to_meter, title, fields, without):
        """Decipher with the first key that fits; without: what to say if there is none."""
        content = inner.get("content")
        control = inner.children[0].value
        if not control & (_AUTHENTICATED | _ENCRYPTED):
            self._inside(content, octets, to_meter)
            return
        tag = inner.get("authentication-tag")
        size = _KEY_LEN.get(control & _SUITE)
        fit = [key for key in tries if key.octets and len(key.octets) == size]
        did = "deciphered" if control & _ENCRYPTED else "authenticated"
        if not fit:
            if size is None:
                without = "there is no suite %d" % (control & _SUITE)
            elif any(key.octets for key in tries):
                without = "keys of %s octets only" % (32 if size == 16 else 16)
            content.text = "not %s: %s" % (did, without)
            self._inside(content, octets, to_meter)
            return
        titles = [title] if title else self.keys.titles()
        found = _first(fit, titles, octets[inner.start : inner.start + 5], fields, content, tag)
        if found is None:
            if not titles:
                content.text = "not deciphered: the system title of its sender is not known"
            elif tag is None:
                content.error = Fault(_NO_APDU, content.start)
            else:
                tag.error = Fault(_WRONG, tag.start)
                content.text = "not %s: the authentication tag does not match" % did
            self._inside(content, octets, to_meter)
            return
        key, sender, plain, right = found
        content.text = "%s with the %s, system title %s" % (did, key.words, sender.hex().upper())
        if tag is not None:
            if right:
                tag.text = "matches"
            else:
                tag.error = Fault(_WRONG_AK, tag.start)
        if control & _COMPRESSED:
            content.text += "; compressed (V.44), which is not undone here"
        elif control & _ENCRYPTED:
            child = apdu.decode(plain)
            child.octets = plain
            content.children[:] = [child]
        self._inside(content, octets, to_meter)

    def _inside(self, content, octets, to_meter):
        for child in content.children:
            self.decipher(child, octets if child.octets is None else child.octets, to_meter)

    # --- Keys that come with the APDU

    def _general(self, node, octets, to_meter):
        outer = node.get("ciphered-content")
        inner = whole(outer)
        if inner is None:
            return
        title = self._title(node.get("originator-system-title"), to_meter)
        recipient = node["recipient-system-title"].value or self._sender(not to_meter) or b""
        fields = octets[node["transaction-id"].start : node["other-information"].end]
        info = node["key-info"]
        choice = info.children[0] if info.children else None
        tries = []
        without = "no key-info"
        gaks = [s.gak for s in self._sets(title, recipient)] or [b""]
        if choice is None:
            tries = [Key(s.guek, s.gak, _words("guek", s)) for s in self._sets(title, recipient)]
        elif choice.name == "identified-key" and choice["key-id"].value < len(_BY_KEY_ID):
            name = _BY_KEY_ID[choice["key-id"].value]
            tries = [Key(getattr(s, name), s.gak, _words(name, s))
                     for s in self._sets(title, recipient)]  # fmt: skip
            without = "no %s" % _WORDS[name]
        elif choice.name == "wrapped-key":
            wrapped = choice["key-ciphered-data"]
            for s in self._sets(title, recipient):
                key = unwrap(s.kek, wrapped.value)
                if key:
                    tries.append(Key(key, s.gak, "key that came wrapped"))
            keks = [s for s in self.keys.sets if s.kek]
            without = "no master key (KEK)"
            if keks and not tries:
                without = "the master key does not unwrap the key"
                wrapped.error = Fault("no key under this master key: wrong key, or damaged",
                                      wrapped.start)  # fmt: skip
        elif choice.name == "agreed-key":
            control = inner.children[0].value
            transaction = node["transaction-id"].value
            key, without = self._agree(choice, control & _SUITE, title, recipient, transaction)
            tries = [Key(key, gak, "key that was agreed") for gak in gaks] if key else []
        self._try(tries, inner, octets, to_meter, title, fields, without)

    def _agree(self, choice, suite, originator, recipient, transaction):
        """(key, ""), or (None, why not)."""
        data = choice["key-ciphered-data"]
        scheme = int.from_bytes(choice["key-parameters"].value, "big")
        if suite not in _AGREED or originator is None:
            return None, "keys are agreed in suites 1 and 2, by two that have system titles"
        nonce = b""
        own = self._private(recipient)
        if scheme == _ONE_PASS:
            n = len(data.value) // 2
            other = point(data.value[:n])
            if other is None:
                what = "no point of the curve, and signature; expected 128 or 192 octets"
                data.error = Fault(what, data.start)
                return None, "no ephemeral key"
            self._verify(data, originator, data.value[:n], data.value[n:])
        elif scheme == _STATIC:
            nonce = put_length(len(transaction)) + transaction
            other = self._public(originator, AGREE)
            if own is None:
                own, other = self._private(originator), self._public(recipient, AGREE)
        else:
            return None, "no scheme %d" % scheme
        if own is None or other is None:
            return None, "no private key for key agreement of %s" % (
                recipient.hex().upper() if own is None else "the other one")  # fmt: skip
        if own.curve.name != other.curve.name:
            return None, "the keys are of two curves"
        algorithm, name = _AGREED[suite]
        info = name + originator + nonce + recipient
        z = own.exchange(ec.ECDH(), other)
        return ConcatKDFHash(algorithm(), _KEY_LEN[suite], info).derive(z), ""

    def _private(self, title):
        found = self.keys.private.get((title, AGREE))
        return found[0] if found else None

    def _public(self, title, kind):
        found = self.keys.public.get((title, kind)) or self.public.get((title, kind))
        return found[0] if found else None

    # --- Signatures

    def _signing(self, node, octets, to_meter):
        signature = node.get("signature")
        if signature is None or signature.value is None:
            return  # it is cut off, and that is said already
        title = self._title(node.get("originator-system-title"), to_meter)
        # uncertain: what is signed; no public source has a printed example
        signed = octets[node["transaction-id"].start : node["content"].end]
        self._verify(signature, title, signed, signature.value)

    def _verify(self, node, title, signed, signature):
        """Say of the node of a signature whether it is that of title."""
        n = len(signature) // 2
        if n not in _SIGNED or len(signature) != 2 * n:
            if node.error is None:
                what = "%d octets are no signature; expected 64 or 96" % len(signature)
                node.error = Fault(what, node.start)
            return
        tried = [*self.keys.public.get((title, SIGN), ()), *self.public.get((title, SIGN), ())]
        tried = [key for key in tried if key.curve.key_size == 8 * n]
        who = title.hex().upper() if title else "the originator"
        if not tried:
            node.text = "signature not verified: no certificate of %s" % who
            return
        r, s = (int.from_bytes(part, "big") for part in (signature[:n], signature[n:]))
        for key in tried:
            try:
                key.verify(encode_dss_signature(r, s), signed, ec.ECDSA(_SIGNED[n]()))
            except InvalidSignature:
                continue
            node.text = "signature of %s" % who
            return
        node.error = Fault("signature does not match: another's key, or damaged", node.start)


def whole(outer):
    """What is protected in an octet string, or None: it is not there, or cut off."""
    inner = outer.children[0] if outer is not None and outer.children else None
    content = inner.get("content") if inner is not None else None
    if content is not None and (outer.error is not None or inner.children[-1].error is not None):
        content.text = "not deciphered: it is cut off"
        return None
    return None if content is None else inner


def _first(keys, titles, head, fields, content, tag):
    """(key, system title, plain text, whether the tag is right) of the first that fits, or that
    gives an APDU at least; or None."""
    nearly = None
    for key, title in itertools.product(keys, titles):
        plain, right = gcm(key, title, head, fields, content.value, tag)
        if right:
            return key, title, plain, True
        if nearly is None and head[0] & _ENCRYPTED and not apdu.decode(plain).faults():
            nearly = key, title, plain, False
    if nearly is None and head[0] & _COMPRESSED and tag is None and keys and titles:
        return keys[0], titles[0], b"", False  # nobody can say whether it is right
    return nearly


def _words(name, s):
    return _WORDS[name] + (" of %s" % s.title.hex().upper() if s.title else "")


def gcm(key, title, head, fields, octets, tag):
    """(plain text, whether the tag is right). head: security control and invocation counter."""
    mode = modes.GCM(title + head[1:], min_tag_length=TAG_LEN)
    work = Cipher(algorithms.AES(key.octets), mode).decryptor()
    encrypted = head[0] & _ENCRYPTED
    if tag is not None:
        work.authenticate_additional_data(
            head[:1] + key.gak + fields + (b"" if encrypted else octets)
        )
    plain = work.update(octets) if encrypted else octets
    if tag is None:
        return plain, False
    try:
        work.finalize_with_tag(tag.value)
    except (InvalidTag, ValueError):  # a tag that is cut off
        return plain, False
    return plain, True


def unwrap(kek, octets):
    """The key in octets under this key, or None."""
    if not kek:
        return None
    try:
        return aes_key_unwrap(kek, octets)
    except (InvalidUnwrap, ValueError):
        return None
