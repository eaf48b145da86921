# SPDX-License-Identifier: MIT
"""Requests for certificates (PKCS#10, RFC 2986) as the Security setup object makes them: with the
system title as common name, a public key, no attributes; signed with the key to be certified.

    end = begin(out, pos, curve, title, public)
    ... sign the hash of out[pos:end], SHA-256 with P-256, SHA-384 with P-384 ...
    start, end = finish(out, pos, end, curve, signature)       out[start:end] is the request

`start` is up to four octets before `pos`. A request has at most LENGTH octets. Key and signature
are as ec.py has them. Allocates a little.
"""

from crypto.certificate import COMMON_NAME, CURVES, KEY_ALGORITHMS, SIGNATURE_ALGORITHMS
from crypto.der import BIT_STRING, INTEGER, SEQUENCE, SET
from crypto.der import put, room, signature_len, write, write_signature

LENGTH = 300

_UTF8_STRING = 0x0C
_NO_ATTRIBUTES = b"\xa0\x00"
_DIGITS = b"0123456789ABCDEF"


def begin(out, pos, curve, title, public):
    key_algorithm = KEY_ALGORITHMS[CURVES.index(curve)]
    n_name = len(COMMON_NAME) + 2 + 2 * len(title)
    n_bits = len(public) + 2
    n_key = 2 + len(key_algorithm) + room(n_bits) + n_bits
    n = 3 + 6 + n_name + room(n_key) + n_key + len(_NO_ATTRIBUTES)
    pos = write(out, pos, SEQUENCE, n)
    pos = put(out, write(out, pos, INTEGER, 1), b"\0")
    pos = write(out, pos, SEQUENCE, n_name + 4)
    pos = write(out, pos, SET, n_name + 2)
    pos = put(out, write(out, pos, SEQUENCE, n_name), COMMON_NAME)
    pos = write(out, pos, _UTF8_STRING, 2 * len(title))
    for octet in title:
        pos = put(out, pos, bytes((_DIGITS[octet >> 4], _DIGITS[octet & 15])))
    pos = write(out, pos, SEQUENCE, n_key)
    pos = put(out, write(out, pos, SEQUENCE, len(key_algorithm)), key_algorithm)
    pos = put(out, write(out, pos, BIT_STRING, n_bits), b"\0\x04")
    return put(out, put(out, pos, public), _NO_ATTRIBUTES)


def finish(out, pos, end, curve, signature):
    algorithm = SIGNATURE_ALGORITHMS[CURVES.index(curve)]
    end = put(out, write(out, end, SEQUENCE, len(algorithm)), algorithm)
    end = put(out, write(out, end, BIT_STRING, signature_len(signature) + 1), b"\0")
    end = write_signature(out, end, signature)
    start = pos - room(end - pos)
    write(out, start, SEQUENCE, end - pos)
    return start, end
