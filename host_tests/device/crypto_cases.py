# SPDX-License-Identifier: MIT
"""Vectors of lib/crypto (vectors/crypto.jsonl), on whatever runtime runs this.

    micropython crypto_cases.py FORM < VECTORS       FORM: "own", or "loop" for plain loops

Lines come on stdin up to `end`; of each is said "ok ID", or what is wrong. What must not allocate
runs with the heap locked.
"""

import binascii
import json
import sys

try:
    from micropython import heap_lock, heap_unlock
except ImportError:

    def heap_lock():
        pass

    heap_unlock = heap_lock


def octets(text):
    return bytearray(binascii.unhexlify(text))


def use_loops():
    """Let the modules use the forms without viper."""
    from crypto import _gcm_loop, ccm, cmac, gcm, keywrap

    for module in (gcm, keywrap, cmac, ccm):
        for name in (
            "copy",
            "counters",
            "ghash",
            "nonce",
            "put_tag",
            "reveal",
            "set_table",
            "xor",
        ):
            if hasattr(module, name):
                setattr(module, name, getattr(_gcm_loop, name))
    gcm._table = _gcm_loop.new_table()
    from crypto import _sha2_loop, sha2

    for name in ("compress512", "octets384", "state384"):
        setattr(sha2, name, getattr(_sha2_loop, name))
    from crypto import _field_ints, field

    for name in field.__all__:
        setattr(field, name, getattr(_field_ints, name))


# --- AES-GCM


def _opened(g, aad, cut, buf, n_text, tag, n_tag):
    """What decrypt() says of it; with pieces of additional data as odd as can be."""
    heap_lock()
    try:
        g.start()
        g.aad(aad, 0, cut)
        g.aad(aad, cut, len(aad))
        return g.decrypt(buf, 0, n_text, tag, 0, n_tag)
    finally:
        heap_unlock()


def _one_message(g, aad, text, out, cut):
    n_tag = len(out) - len(text)
    # Somewhere in a buffer, its neighbours untouched.
    buf = bytearray(b"\xee" * 3) + text + b"\xee" * (n_tag + 2)
    heap_lock()
    try:
        g.start()
        g.aad(aad, 0, cut)
        g.aad(aad, cut, len(aad))
        g.encrypt(buf, 3, 3 + len(text), buf, 3 + len(text), n_tag)
    finally:
        heap_unlock()
    if buf != b"\xee" * 3 + out + b"\xee" * 2:
        return "encrypted to %s" % binascii.hexlify(buf)
    body = out[: len(text)]
    tag = out[len(text) :]
    if not _opened(g, aad, cut, body, len(body), tag, n_tag):
        return "its own tag was refused"
    if body != text:
        return "decrypted to %s" % binascii.hexlify(body)
    return None


def _at_once(g, aad, text, out):
    """The same by seal() and open(), which go on from what they have left for the same aad."""
    n = len(text)
    title = bytearray(b"\xee") + g.iv
    right = aad[0]
    for first in (right, right ^ 0xFF, right, right):
        aad[0] = first
        buf = bytearray(b"\xee" + title[9:]) + text + b"\xee" * 14
        heap_lock()
        try:
            g.seal(aad, title, 1, buf, 1, 5, 5 + n)
        finally:
            heap_unlock()
        sealed = bytes(buf)
        if first == right and sealed[5 : 17 + n] != out[: n + 12]:
            return "sealed to %s" % binascii.hexlify(sealed)
        for at in (5, 5 + n, 16 + n):
            buf[at] ^= 0x80
            if g.open(aad, title, 1, buf, 1, 5, 5 + n):
                return "opened with a wrong bit in octet %d" % at
            buf[at] ^= 0x80
        if buf != sealed:
            return "changed in spite of a wrong tag"
        heap_lock()
        try:
            good = g.open(aad, title, 1, buf, 1, 5, 5 + n)
        finally:
            heap_unlock()
        if not good or buf[5 : 5 + n] != text or buf[-2:] != b"\xee\xee":
            return "opened to %s" % binascii.hexlify(buf)
    return None


def _flips(g, aad, text, out):
    """A wrong bit in any octet of what is protected: refused, and nothing is decrypted."""
    body = out[: len(text)]
    tag = out[len(text) :]
    for part in (aad, body, tag, g.iv):
        for i in range(len(part)):
            part[i] ^= 1 << (i & 7)
            before = bytes(body)
            if _opened(g, aad, 0, body, len(body), tag, len(tag)):
                return "a wrong bit was accepted"
            if body != before:
                return "decrypted in spite of a wrong tag"
            part[i] ^= 1 << (i & 7)
    return None


def _in_portions(aes, iv, kinds, aad, text, out):
    """By gcm_stream.py, while another key protects something between two portions."""
    from crypto import gcm
    from crypto.gcm_stream import Seal

    g = gcm.new(aes(0))
    other = gcm.new(aes(1))
    n_tag = len(out) - len(text)
    scratch = bytearray(20)
    for size in (1, 5, 16, 50, 128, 129, len(text) + 1):
        buf = bytearray(b"\xee" * 3) + text + b"\xee" * (n_tag + 2)
        s = Seal(g, iv, kinds, bytes(aad))
        end = 3 + len(text)
        heap_lock()
        try:
            pos = 3
            while pos < end:
                after = pos + size if pos + size < end else end
                s.update(buf, pos, after)
                pos = after
                other.start(aad)
                other.encrypt(scratch, 0, 4, scratch, 4, 16)
            if n_tag:
                s.tag(buf, end, n_tag)
        finally:
            heap_unlock()
        if buf != b"\xee" * 3 + out + b"\xee" * 2:
            return "in portions of %d: %s" % (size, binascii.hexlify(buf))
    return None


# How a message is protected, by the kind of its vector: 1 authenticated, 2 encrypted.
PORTIONS = {"gcm": 3, "gmac": 1, "gmac-text": 1, "ctr": 2}


def portions_case(v, port):
    kinds = PORTIONS[v["kind"]]
    keys = bytes(octets(v["key"])), bytes(len(v["key"]) // 2)

    def aes(i):
        return port.aes(keys[i])

    aad = octets(v.get("aad", ""))
    return _in_portions(aes, octets(v["iv"]), kinds, aad, octets(v["text"]), octets(v["out"]))


def gcm_case(v, port):
    from crypto import gcm

    g = gcm.new(port.aes(bytes(octets(v["key"]))))
    g.iv[:] = octets(v["iv"])
    aad = octets(v["aad"])
    text = octets(v["text"])
    out = octets(v["out"])
    for cut in (0, 1, 15, 16, 17, len(aad)):
        if cut <= len(aad):
            wrong = _one_message(g, aad, text, out, cut)
            if wrong:
                return "%s, cut at %d" % (wrong, cut)
    wrong = _at_once(g, aad, text, out) if aad and len(out) - len(text) >= 12 else None
    g.iv[:] = octets(v["iv"])
    return wrong or _flips(g, aad, text, out)


def gmac_case(v, port):
    """Authentication only: what is there as text belongs to the additional data."""
    text = v["text"]
    return gcm_case(dict(v, aad=v["aad"] + text, text="", out=v["out"][len(text) :]), port)


def ctr_case(v, port):
    from crypto import gcm

    g = gcm.new(port.aes(bytes(octets(v["key"]))))
    g.iv[:] = octets(v["iv"])
    buf = octets("aa" + v["text"] + "aa")
    heap_lock()
    try:
        g.crypt(buf, 1, len(buf) - 1)
    finally:
        heap_unlock()
    return None if buf == octets("aa" + v["out"] + "aa") else "got %s" % binascii.hexlify(buf)


# --- Key wrap


def _unwrapped(aes, buf):
    from crypto import keywrap

    heap_lock()
    try:
        return keywrap.unwrap(aes, buf, 0, len(buf))
    finally:
        heap_unlock()


def keywrap_case(v, port):
    from crypto import keywrap

    kek = bytes(octets(v["key"]))
    text = octets(v["text"])
    out = octets(v["out"])
    buf = bytearray(8) + text
    aes = port.aes(kek)
    heap_lock()
    try:
        keywrap.wrap(aes, buf, 0, len(buf))
    finally:
        heap_unlock()
    if buf != out:
        return "wrapped to %s" % binascii.hexlify(buf)
    aes = port.aes(kek)
    if not _unwrapped(aes, buf) or buf[8:] != text:
        return "not unwrapped"
    for i in range(len(out)):
        buf[:] = out
        buf[i] ^= 0x80 >> (i & 7)
        if _unwrapped(aes, buf) or buf != bytes(len(out)):
            return "octet %d is wrong, and it was unwrapped" % i
    return None


# --- CMAC and CCM


def cmac_case(v, port):
    """In portions of any length, somewhere in a buffer."""
    from crypto import cmac

    text = octets("eeeeee" + v["text"])
    out = octets(v["out"])
    c = cmac.CMAC(port.aes(bytes(octets(v["key"]))))
    got = bytearray(18)
    sizes = (1, 15, 16, 17, len(text))
    heap_lock()
    try:
        for size in sizes:
            c.start()
            pos = 3
            while pos < len(text):
                after = pos + size if pos + size < len(text) else len(text)
                c.update(text, pos, after)
                pos = after
            if size & 1:
                c.tag(got, 1, 16)
            elif not c.matches(out, 0, 16):
                break
    finally:
        heap_unlock()
    if got != b"\0" + out + b"\0":
        return "got %s" % binascii.hexlify(got)
    for i in range(16):
        out[i] ^= 1 << (i & 7)
        c.update(text, 3, len(text))
        if c.matches(out, 0, 16):
            return "octet %d of the tag is wrong, and it matched" % i
        out[i] ^= 1 << (i & 7)
    return None


def ccm_case(v, port):
    from crypto import ccm

    nonce = octets(v["iv"])
    aad = octets("ee" + v["aad"])
    n = len(v["text"]) // 2
    text = octets("eeee" + v["text"]) + bytearray(len(v["out"]) // 2 - n) + b"\xee"
    sealed = octets("eeee" + v["out"] + "ee")
    tag_at = 2 + n
    c = ccm.CCM(port.aes(bytes(octets(v["key"]))), len(nonce), len(sealed) - 3 - n)
    c.nonce[:] = nonce
    buf = bytearray(text)
    heap_lock()
    try:
        c.encrypt(aad, 1, len(aad), buf, 2, tag_at, buf, tag_at)
    finally:
        heap_unlock()
    if buf != sealed:
        return "encrypted to %s" % binascii.hexlify(buf)
    heap_lock()
    try:
        good = c.decrypt(aad, 1, len(aad), buf, 2, tag_at, buf, tag_at)
    finally:
        heap_unlock()
    if not good or buf[:tag_at] != text[:tag_at]:
        return "decrypted to %s" % binascii.hexlify(buf)
    for part, first in ((aad, 1), (sealed, 2), (c.nonce, 0)):
        for i in range(first, len(part) - (part is sealed)):
            part[i] ^= 0x80 >> (i & 7)
            buf[:] = sealed
            if c.decrypt(aad, 1, len(aad), buf, 2, tag_at, buf, tag_at):
                return "a wrong bit was accepted"
            if buf != sealed:
                return "decrypted in spite of a wrong tag"
            part[i] ^= 0x80 >> (i & 7)
    return None


# --- Hashes


def _none(name):
    return None


def hash_case(v, port):
    """With what the runtime has, and with ours; in two pieces."""
    from crypto import hashes

    text = octets(v["text"])
    for handed_in in (port.new_hash, _none):
        h = hashes.new(v["kind"], handed_in)
        cut = len(text) * 2 // 3
        h.update(text[:cut])
        h.update(text[cut:])
        digest = h.digest()
        if digest != octets(v["out"]):
            return "got %s" % binascii.hexlify(digest)
    return None


# --- Curves


def _work(v, port):
    from crypto import ec

    return ec.new(v["curve"], port.new_hash, port.elliptic(v["curve"]))


def _done(work):
    while work.step():
        pass
    return work.result


def _digest(v, port):
    from crypto import hashes

    h = hashes.new("sha256" if v["curve"] == "P-256" else "sha384", port.new_hash)
    h.update(octets(v["text"]))
    return h.digest()


def ecdh_case(v, port):
    work = _work(v, port)
    work.agree(octets(v["private"]), octets(v["peer"]))
    if _done(work) != octets(v["out"]):
        return "another secret"
    work.public_key(octets(v["private"]))
    return None if _done(work) == octets(v["public"]) else "another public key"


def ecdsa_case(v, port):
    """The signature of RFC 6979, if the nonce is ours; and any is verified."""
    work = _work(v, port)
    digest = _digest(v, port)
    work.sign(octets(v["private"]), digest)
    signature = _done(work)
    if port.elliptic(v["curve"]) is None and signature != octets(v["out"]):
        return "signed %s" % binascii.hexlify(signature)
    for good in (signature, octets(v["out"])):
        work.verify(octets(v["public"]), digest, good)
        if _done(work) != 1:
            return "not verified"
    return None


def verify_case(v, port):
    work = _work(v, port)
    work.verify(octets(v["public"]), _digest(v, port), octets(v["signature"]))
    return None if _done(work) == octets(v["out"])[0] else "not what is known of it"


# --- Key derivation


def kdf_case(v, port):
    from crypto import kdf

    parts = [octets(v[name]) for name in ("text", "algorithm", "party_u", "party_v")]
    key = kdf.derive(v["hash"], port.new_hash, *parts)
    return None if key == octets(v["out"]) else "got %s" % binascii.hexlify(key)


# --- Certificates


def _part(buf, where):
    return bytes(buf[where[0] : where[1]])


def certificate_case(v, port):
    from crypto import certificate

    buf = octets("30" + v["text"] + "30")
    c = certificate.Certificate()
    code = c.read(buf, 1, len(buf) - 1)
    if code:
        return "code %d" % code
    title = octets(v["title"]) if v["title"] else None
    got = (c.curve, c.key, c.title, c.usage, c.not_before, c.not_after, c.is_authority)
    wanted = (v["curve"], octets(v["key"]), title, v["usage"], v["not_before"], v["not_after"])
    if got != wanted + (bool(v["authority"]),):
        return "read %r" % (got,)
    own_issuer = v["key"] == v["issuer_key"]
    if (_part(buf, c.issuer) == _part(buf, c.subject)) != own_issuer:
        return "issuer or subject"
    if (_part(buf, c.subject_key_id) == _part(buf, c.authority_key_id)) != own_issuer:
        return "key identifiers"
    work = _work(v, port)
    text = binascii.hexlify(_part(buf, c.tbs)).decode()
    work.verify(octets(v["issuer_key"]), _digest(dict(v, text=text), port), c.signature)
    return None if _done(work) else "its signature is wrong"


def request_case(v, port):
    from crypto import certificate_request

    out = bytearray(4 + certificate_request.LENGTH)
    end = certificate_request.begin(out, 4, v["curve"], octets(v["title"]), octets(v["public"]))
    text = binascii.hexlify(out[4:end]).decode()
    work = _work(v, port)
    work.sign(octets(v["private"]), _digest(dict(v, text=text), port))
    start, end = certificate_request.finish(out, 4, end, v["curve"], _done(work))
    if port.elliptic(v["curve"]) is None and out[start:end] != octets(v["out"]):
        return "made %s" % binascii.hexlify(out[start:end])
    return None


KINDS = {
    "gcm": gcm_case,
    "gmac": gmac_case,
    "gmac-text": gmac_case,
    "ctr": ctr_case,
    "keywrap": keywrap_case,
    "cmac": cmac_case,
    "ccm": ccm_case,
    "ecdh": ecdh_case,
    "ecdsa": ecdsa_case,
    "verify": verify_case,
    "kdf": kdf_case,
    "certificate": certificate_case,
    "request": request_case,
    "md5": hash_case,
    "sha1": hash_case,
    "sha256": hash_case,
    "sha384": hash_case,
}


def check(line, port):
    """A complaint about one vector; None if there is none."""
    v = json.loads(line)
    wrong = KINDS[v["kind"]](v, port)
    if not wrong and v["kind"] in PORTIONS:
        wrong = portions_case(v, port)
    return wrong


def main(form, port=None):
    if form == "loop":
        use_loops()
    if port is None:
        from firmware.ports import ciphers as port
    while True:
        line = sys.stdin.readline().strip()
        if line == "end":
            return
        name = json.loads(line)["id"]
        wrong = check(line, port)
        print("FAIL %s: %s" % (name, wrong) if wrong else "ok " + name)


if __name__ == "__main__":
    main(sys.argv[1])
