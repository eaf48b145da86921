# SPDX-License-Identifier: MIT
"""What a runtime gives to lib/crypto: AES, hashes, and curves if it can do more than we can.

Apart from the ports, so that only meters that have security load it.

    aes(key) -> object               key of 16 or 32 octets; encrypt(src, dst), decrypt(src, dst):
                                     whole blocks in ECB mode, dst may be src; one object does one
                                     of the two only. May have seal(): see crypto/gcm.py
    new_hash(name) -> object | None  "md5", "sha1", "sha256": update(octets), digest(); None: the
                                     runtime has none, crypto/hashes.py has
    elliptic(name) -> object | None  what does "P-256" or "P-384" faster than crypto/ec.py, or has
                                     the keys: sign(), verify(), agree(), public_key(), generate()
                                     as there, which return the result; None: nothing such

    work(name) -> object             new work of crypto/ec.py on that curve

encrypt and decrypt allocate nothing on MicroPython and CircuitPython. On CPython
ImportError says that the package `cryptography` is not installed.
"""

import sys

if sys.implementation.name == "circuitpython":
    from firmware.ports.ciphers.circuitpython import aes, elliptic, new_hash
elif sys.implementation.name == "micropython":
    from firmware.ports.ciphers.micropython import aes, elliptic, new_hash
else:
    from firmware.ports.ciphers.cpython import aes, elliptic, new_hash

__all__ = ("aes", "elliptic", "new_hash", "work")


def work(name):
    # Imported by the first one who needs it: meters of suite 0 do not.
    from crypto import ec

    return ec.new(name, new_hash, elliptic(name))
