# SPDX-License-Identifier: MIT
"""Tokens of the project's own test scheme, for meters to play with: never for real money.

    8 octets   identifier, below 2**63; rising
    4 octets   amount, in the unit of the account
    8 octets   the first of HMAC-SHA-256 over system title, identifier, amount, under a key that
               everybody knows: it is below

A definition asks for it: source = "token.demo" of a Token gateway; tools/demo_token.py makes
tokens. Anything that takes a real scheme's place is a function like Scheme.check(), see
lib/cosem/token_gateway.py. It allocates.
"""

from crypto import hashes
from dlms.prim import same
from firmware.ports import ciphers
from micropython import const

KEY = b"DEMO KEY OF TEST TOKENS"

_TOKEN_LEN = const(20)
_SIGNED_LEN = const(12)
_TAG_LEN = const(8)

# status_code.
_VALIDATED = const(2)
_MALFORMED = const(4)
_NOT_AUTHENTIC = const(5)
_INVALID = const(6)


def tag(new_hash, title, octets):
    """The last octets of the token whose first ones these are."""
    return hashes.hmac("sha256", new_hash, KEY, (title, octets))[:_TAG_LEN]


class Scheme:
    def __init__(self, model):
        self.model = model

    def check(self, row, octets):
        """For model.tokens."""
        if len(octets) != _TOKEN_LEN:
            return _MALFORMED, 0, 0, ()
        signed = octets[:_SIGNED_LEN]
        wanted = tag(ciphers.new_hash, self.model.system_title, signed)
        if not same(wanted, 0, octets, _SIGNED_LEN, _TAG_LEN):
            return _NOT_AUTHENTIC, 0, 0, ()
        identifier = int.from_bytes(signed[:8], "big")
        amount = int.from_bytes(signed[8:], "big")
        if identifier >> 63 or not 0 < amount < 1 << 31:
            return _INVALID, 0, 0, ()
        return _VALIDATED, amount, identifier, (b"credit", str(amount).encode())
