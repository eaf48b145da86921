# SPDX-License-Identifier: MIT
"""The key derivation of DLMS key agreement (IEC 62056-5-3; NIST SP 800-56A, 5.8.1): the
concatenation KDF, one round.

    key = derive("sha256", ciphers.new_hash, z, algorithm, party_u, party_v)

The hash is that of the suite: "sha256" gives 16 octets of key (suite 1), "sha384" 32 (suite 2). z
is the x coordinate that both sides have agreed, 32 or 48 octets. The algorithm is that of the key,
seven octets, below. party_u is the system title of the originator, of the client in the
key_agreement method, and for C(0e, 2s) also an octet of length and the transaction-id; party_v is
the system title of the other side. Allocates.
"""

from crypto import hashes

# The Green Book's 8th edition printed 06 for the fourth octet in examples: an error.
AES_GCM_128 = b"\x60\x85\x74\x05\x08\x03\x00"
AES_GCM_256 = b"\x60\x85\x74\x05\x08\x03\x01"
AES_WRAP_128 = b"\x60\x85\x74\x05\x08\x03\x02"
AES_WRAP_256 = b"\x60\x85\x74\x05\x08\x03\x03"

_ROUND = b"\x00\x00\x00\x01"


def derive(name, new_hash, z, algorithm, party_u, party_v):
    """ValueError: another hash than those two."""
    if name not in ("sha256", "sha384"):
        raise ValueError(name)
    h = hashes.new(name, new_hash)
    for part in (_ROUND, z, algorithm, party_u, party_v):
        h.update(part)
    return h.digest()[: 16 if name == "sha256" else 32]
