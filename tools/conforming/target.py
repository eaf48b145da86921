# SPDX-License-Identifier: MIT
"""Who is asked: where the meter is, and what is known of it.

A description is what `tools/meter.py sheet --json` prints, or of a meter with a record
`tools/provision.py show RECORD --show-keys --json`; as JSON or TOML, or as much of it as there is.
A target without one has a public client 16 at server SAP 1. Keys that count:

    system_title                 hex; else the one of the AARE
    hdlc_physical_address        lower address of HDLC
    hdlc_address_lengths         octets that server addresses may have; else found out, and 1
                                 without a lower address
    inter_octet_ms, inactivity_s time-outs of HDLC, if they are not 25 and what its object says
    optical                      {device_address, passwords: {p1: ..., p2: ...}}
    associations                 list of: client_sap, server_sap, application_context_id (1 LN,
                                 2 SN, 3 LN ciphered, 4 SN ciphered), mechanism_id (0 none, 1 LLS,
                                 3 MD5, 4 SHA-1, 5 GMAC, 6 SHA-256), secret_hex, guek_hex, gak_hex,
                                 kek_hex, security_suite (0; keys of 32 octets in suite 2),
                                 security_setup, security_policy, invocation_counter
                                 (object; else 0.b.43.1.e of the setup), counter (number),
                                 pre_established, user_id (who is one of its user_list)
    client_title                 hex, 8 octets: of this client
"""

import json
import re
import tomllib

from bootstrap import Trouble

from . import lines
from .client import GMAC, MD5, SHA1, SHA256

_LLS = 1
_MECHANISMS = (0, _LLS, MD5, SHA1, GMAC, SHA256)
_LN, _SN, _LN_CIPHERED = 1, 2, 3
KEY_LENS = {0: 16, 1: 16, 2: 32}  # by suite
_DEFAULT_RATE = 9600
_OPTICAL_RATE = 300
_PUBLIC = {"client_sap": 16, "server_sap": 1, "application_context_id": 1, "mechanism_id": 0}
_OBIS = re.compile(r"\d{1,3}(\.\d{1,3}){4,5}", re.A)
# What else a description may have, and what is right.
_TOP = {
    "hdlc_physical_address": lambda v: isinstance(v, int) and 0 <= v <= 0x3FFF,
    "hdlc_address_lengths": lambda v: isinstance(v, list) and v and all(n in (1, 2, 4) for n in v),
    "inter_octet_ms": lambda v: isinstance(v, (int, float)) and 0 < v <= 10000,
    "inactivity_s": lambda v: isinstance(v, (int, float)) and 0 <= v <= 0xFFFF,
    "optical": lambda v: (
        isinstance(v, dict)
        and isinstance(v.get("device_address", ""), str)
        and isinstance(v.get("passwords", {}), dict)
    ),
    "logical_device_name": lambda v: isinstance(v, str),
}
_FORMS = (
    "tcp://HOST:PORT (wrapper), hdlc+tcp://HOST:PORT, optical+tcp://HOST:PORT,"
    " /dev/ttyX[:BAUD] (HDLC), optical:/dev/ttyX[:BAUD]"
)


def place(text, patience_s):
    """(kind, line, is it TCP) of a TARGET. Trouble says what forms there are."""
    m = re.fullmatch(r"(tcp|hdlc\+tcp|optical\+tcp)://(\[[^]]+\]|[^:/]+):([0-9]{1,5})/?", text)
    if m and 0 < int(m[3]) < 65536:
        kind = {"tcp": "wrapper", "hdlc+tcp": "hdlc", "optical+tcp": "optical"}[m[1]]
        return kind, lines.TCP(m[2].strip("[]"), int(m[3]), patience_s), True
    m = re.fullmatch(
        r"(optical:|hdlc:)?(/[^:]+|[A-Za-z][A-Za-z0-9]*|rfc2217://.+?)(?::(\d+))?", text
    )
    if m and (m[1] or m[2].startswith(("/", "COM", "rfc2217"))):
        kind = "optical" if m[1] == "optical:" else "hdlc"
        rate = int(m[3] or (_OPTICAL_RATE if kind == "optical" else _DEFAULT_RATE))
        return kind, lines.Serial(m[2], rate, patience_s), False
    raise Trouble("%s is no place of a meter: %s." % (text, _FORMS))


class Target:
    """name, and what a description says; counters: the next one of each key of a client."""

    def __init__(self, description, name="meter"):
        self.name = name
        self.description = description
        self.associations = description.get("associations") or [dict(_PUBLIC)]
        self.lower = description.get("hdlc_physical_address")
        self.lengths = description.get("hdlc_address_lengths")
        if not self.lengths and self.lower is None:
            self.lengths = [1]
        self.optical = description.get("optical", {})
        self.client_title = bytes.fromhex(description.get("client_title", "504D54434F4E4631"))
        self.counters = {}
        self.objects = {}  # of each association, once it has been read: objects.py
        self.settable = {}  # attributes of each that are good for writing: objects.py

    def system_title(self, entry=None):
        title = (entry or {}).get("system_title") or self.description.get("system_title", "")
        return bytes.fromhex(title)

    def playable(self):
        """Entries of associations with logical names that can be opened with what is known."""
        found = []
        for e in self.associations:
            mechanism = e.get("mechanism_id", 0)
            context = e.get("application_context_id", _LN)
            secret = "secret_hex" in e or mechanism in (0, GMAC)
            keys = "guek_hex" in e
            if e.get("pre_established") or mechanism not in _MECHANISMS or not secret:
                continue
            if context == _LN and (mechanism != GMAC or keys) or context == _LN_CIPHERED and keys:
                found.append(e)
        return found

    def public(self, server_sap=None):
        for e in self.playable():
            if not e.get("mechanism_id") and server_sap in (None, e["server_sap"]):
                return e
        return None

    def plain(self, secret=False):
        """Without ciphering: the public one, or one with a low level secret; which one first."""
        found = [
            e
            for e in self.playable()
            if e.get("application_context_id", _LN) == _LN and e.get("mechanism_id", 0) <= _LLS
        ]
        found.sort(key=lambda e: bool(e.get("mechanism_id")) is not secret)
        return found[0] if found else None

    def ciphered(self, suite=0):
        found = [
            e
            for e in self.playable()
            if e.get("application_context_id") == _LN_CIPHERED
            and e.get("security_suite", 0) == suite
        ]
        with_kek = [e for e in found if "kek_hex" in e]
        return (with_kek or found or [None])[0]

    def some(self):
        """One with a secret in plain text, else with a secret of any kind, else the public one."""
        ranks = {_LLS: 0, GMAC: 1, SHA256: 2, SHA1: 3, MD5: 4, 0: 5}
        found = sorted(self.playable(), key=lambda e: ranks[e.get("mechanism_id", 0)])
        return found[0] if found else None

    def short(self):
        for e in self.associations:
            if e.get("application_context_id") == _SN and e.get("mechanism_id", 0) <= _LLS:
                return e
        return None

    def secrets(self):
        """Octets that must not be in any report."""
        found = {bytes.fromhex(v) for e in self.associations for k, v in e.items()
                 if k.endswith("_hex") and isinstance(v, str)}  # fmt: skip
        return sorted((s for s in found if len(s) >= 4), key=len, reverse=True)


def described(path):
    """The description in a file. Trouble says what is wrong with it."""
    try:
        with open(path, "rb") as f:
            octets = f.read()
        text = octets.decode()
        found = tomllib.loads(text) if path.endswith(".toml") else json.loads(text)
    except OSError as e:
        raise Trouble("%s cannot be read (%s)." % (path, e.strerror)) from None
    except ValueError as e:
        raise Trouble("%s is no description: %s." % (path, e)) from None
    checked(found, path)
    return found


def checked(description, path):
    """Trouble unless what is there can be used."""
    if not isinstance(description, dict):
        raise Trouble("%s is no description: expected a table." % path)
    entries = description.get("associations", [])
    if not isinstance(entries, list) or not all(isinstance(e, dict) for e in entries):
        raise Trouble("%s: associations is no list of tables." % path)
    for n, e in enumerate(entries):
        where = "%s: association %d" % (path, n + 1)
        for key, most in (("client_sap", 0xFFFF), ("server_sap", 0xFFFF)):
            if not isinstance(e.get(key), int) or not 0 < e[key] <= most:
                raise Trouble("%s has no %s from 1 to %d." % (where, key, most))
        for key in ("mechanism_id", "application_context_id", "security_policy", "counter",
                    "security_suite", "user_id"):  # fmt: skip
            if not isinstance(e.get(key, 0), int):
                raise Trouble("%s: %s is no number." % (where, key))
        if e.get("security_suite", 0) not in KEY_LENS:
            raise Trouble("%s: security_suite is %d; 0 to 2." % (where, e["security_suite"]))
        for key in ("guek_hex", "gak_hex", "kek_hex"):
            n = KEY_LENS[e.get("security_suite", 0)]
            if key in e and len(octets(e[key], "%s: %s" % (where, key))) != n:
                raise Trouble("%s: %s has not %d octets." % (where, key, n))
        for key in ("security_setup", "invocation_counter"):
            if key in e and not (isinstance(e[key], str) and _OBIS.fullmatch(e[key])):
                raise Trouble("%s: %s is no OBIS code: %r." % (where, key, e[key]))
        for key, value in e.items():
            if key.endswith("_hex") or key == "system_title":
                octets(value, "%s: %s" % (where, key))
    for key, right in _TOP.items():
        if key in description and not right(description[key]):
            raise Trouble("%s: %s is not to be used: %r." % (path, key, description[key]))
    for key in ("system_title", "client_title"):
        if key in description and len(octets(description[key], "%s: %s" % (path, key))) != 8:
            raise Trouble("%s: %s has not 8 octets." % (path, key))


def octets(text, what):
    try:
        return bytes.fromhex(text)
    except (ValueError, TypeError):
        raise Trouble("%s is no hex: %r." % (what, text)) from None
