# SPDX-License-Identifier: MIT
"""Which keys of a meter may be the same (IEC 62056-6-2, 4.4.7). Loaded with a method that brings
keys; allocates.

A key that encrypts APDUs, GUEK or GBEK, is in one place only: who has it is the client of one
Security setup, and what was said there cannot be said again elsewhere. Several Security setups may
have one GAK, or one KEK. No key has two roles.
"""

from dlms.prim import same
from micropython import const

_SECURITY_SETUP = const(64)
_SUITE = const(3)
_KEYS = const(0)  # hidden state, see security_setup.py
_KEY_ROOM = const(32)
_N_KEYS = const(4)
_GAK = const(2)


def is_taken(model, new):
    """Is one of these new keys, [(row, key_id, octets)], that of another place, or about to be?"""
    places = list(new)
    for a in model.associations:
        # What a job has ended with, and is not in force yet.
        places += a.agreed or ()
    for row in model.rows(_SECURITY_SETUP):
        n = 32 if model.get_int(row, _SUITE) == 2 else 16
        for key_id in range(_N_KEYS):
            at = model.state(row, _KEYS) + key_id * _KEY_ROOM
            places.append((row, key_id, model.image[at : at + n]))
    return clash(new, places)


def clash(keys, places):
    """Is one of these keys that of another of the places, which it may not be? Both are lists of
    (row, key_id, octets). All places are looked at, whatever is there, in constant time."""
    found = 0
    for row, key_id, key in keys:
        n = len(key)
        # A key of zeros is none.
        if not any(key):
            continue
        for other_row, other_id, other in places:
            if key_id == other_id and (row == other_row or key_id >= _GAK) or len(other) != n:
                continue
            found |= same(key, 0, other, 0, n)
    return found
