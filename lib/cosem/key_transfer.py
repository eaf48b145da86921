# SPDX-License-Identifier: MIT
"""Method key_transfer of Security setup (IEC 62056-6-2, 4.4.7 and 5.4.8): keys wrapped under the
KEK (RFC 3394). Loaded when a client asks for it; allocates.

    client: [{key_id, key_wrapped}]
"""

from crypto.keywrap import unwrap
from dlms.axdr import length, length_size
from micropython import const

_KEK = const(3)

_SUCCESS = const(0)
_TYPE_UNMATCHED = const(12)
_OTHER_REASON = const(250)


def transfer(kek, n_key, octets):
    """(action_result, [(key_id, key)]): all keys of the list or none.

    kek: AES or None; n_key: octets of a key; octets: the parameter, of the type of the method.
    """
    if kek is None:
        return _OTHER_REASON, None
    keys = []
    end = len(octets)
    at = 1 + length_size(octets, 1)
    while at < end:
        key_id = octets[at + 3]
        n = length(octets, at + 5, end)
        at += 5 + length_size(octets, at + 5)
        if key_id > _KEK or n != n_key + 8:
            return _TYPE_UNMATCHED, None
        key = bytearray(octets[at : at + n])
        if not unwrap(kek, key, 0, n):
            return _OTHER_REASON, None
        keys.append((key_id, key[8:]))
        at += n
    return _SUCCESS, keys
