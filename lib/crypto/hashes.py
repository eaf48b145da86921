# SPDX-License-Identifier: MIT
"""Hashes by their names, whoever has them, and HMAC (FIPS 198-1).

    new(name, handed_in)               an object: update(octets), digest() once; ValueError: no
                                       such name. "md5", "sha1", "sha256", "sha384"
    hmac(name, handed_in, key, parts)  octets; ValueError: the key is longer than a block

`handed_in` is the port's new_hash(name), which gives what the runtime's hashlib has, or None. Both
allocate.
"""

from micropython import const

_IPAD = const(0x36)
_OPAD = const(0x5C)


def new(name, handed_in):
    made = handed_in(name)
    if made:
        return made
    if name == "sha384":
        from crypto.sha2 import SHA384 as own
    elif name == "sha256":
        from crypto.sha2 import SHA256 as own
    elif name == "sha1":
        from crypto.old_hashes import SHA1 as own
    elif name == "md5":
        from crypto.old_hashes import MD5 as own
    else:
        raise ValueError(name)
    return own()


def hmac(name, handed_in, key, parts):
    padded = bytearray(128 if name == "sha384" else 64)
    if len(key) > len(padded):
        raise ValueError("a key longer than a block")
    padded[: len(key)] = key
    digest = None
    for pad in (_IPAD, _OPAD):
        h = new(name, handed_in)
        h.update(bytes([octet ^ pad for octet in padded]))
        for part in parts if digest is None else (digest,):
            h.update(part)
        digest = h.digest()
    return digest
