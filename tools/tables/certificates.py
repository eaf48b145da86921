# SPDX-License-Identifier: MIT
"""Certificates of a definition: PEM files beside it, or in firmware/definitions.

Who a certificate is of, and what for, it says itself: a root may sign certificates, the meter's
own have its system title, others are clients'. Of private keys only the meter's own are packed.
"""

import base64
import os
import re

SERVER, CLIENT, AUTHORITY = 0, 1, 2
LONGEST = 768
FOLDER = os.path.join(
    os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))),
    "firmware",
    "definitions",
)
_CURVES = {1: bytes.fromhex("2A8648CE3D030107"), 2: bytes.fromhex("2B81040022")}  # by suite
_BLOCK = re.compile(r"-----BEGIN ([A-Z ]+)-----([^-]+)-----END")
# Key usage with its octet of bits; a common name of 16 hexadecimal digits; a private key.
_USAGE = re.compile(rb"\x06\x03\x55\x1d\x0f(?:\x01\x01\xff)?\x04\x04\x03\x02.(.)", re.S)
_TITLE = re.compile(rb"\x06\x03\x55\x04\x03[\x0c\x13]\x10([0-9A-Fa-f]{16})")
_PRIVATE = re.compile(rb"\x02\x01\x01\x04(?:\x20(.{32})|\x30(.{48}))", re.S)
_KINDS = {0x80: 0, 0x08: 1, 0x88: 2}  # sign, agree, TLS


def find(name, files):
    """Path of a certificate of the definition in these files."""
    for file in files:
        beside = os.path.join(os.path.dirname(file), name)
        if os.path.exists(beside):
            return beside
    return os.path.join(FOLDER, name)


def describe(der):
    """(authority?, kind, system title): what a certificate is for. ValueError: nothing here."""
    usage = _USAGE.search(der)
    usage = usage.group(1)[0] if usage else 0
    titles = _TITLE.findall(der)
    if usage & 0x04:
        return True, 0, b""
    kind = _KINDS.get(usage & 0x88)
    if kind is None or not titles:
        raise ValueError("has no key usage and system title of DLMS")
    return False, kind, bytes.fromhex(titles[-1].decode())


def read(path, suite, system_title):
    """(entity, kind, title, certificate, private key) of a file. OSError, ValueError."""
    with open(path, encoding="ascii") as f:
        blocks = {what: base64.b64decode(text) for what, text in _BLOCK.findall(f.read())}
    der = blocks.get("CERTIFICATE", b"")
    if not der or len(der) > LONGEST:
        raise ValueError("has no certificate of at most %d octets" % LONGEST)
    if suite not in _CURVES or _CURVES[suite] not in der:
        raise ValueError("has no key of the curve of security_suite %d" % suite)
    authority, kind, title = describe(der)
    if authority:
        return AUTHORITY, kind, title, der, b""
    if title != system_title:
        return CLIENT, kind, title, der, b""
    key = _PRIVATE.search(blocks.get("PRIVATE KEY", b""))
    if key is None:
        raise ValueError("has no private key, and is of the meter")
    return SERVER, kind, title, der, key.group(1) or key.group(2)
