# SPDX-License-Identifier: MIT
"""Method key_agreement of Security setup (IEC 62056-6-2, 4.4.7): the Ephemeral Unified Model,
C(2e, 0s), of IEC 62056-5-3, 5.3.4.6. Loaded when a client asks for it.

    client: [{key_id, ephemeral key || signature}]        party U, its system title is that of the
    server: [{key_id, ephemeral key || signature}]        association; the server is party V

Each signature is over key_id and the ephemeral key. On a Cortex-M3 at 62.5 million instructions a
second a key takes 4.0 s in steps of at most 35 ms and holds 3.2 KiB of heap meanwhile (P-256), or
10.4 s, 37 ms and 4.0 KiB (P-384).
"""

from crypto import kdf
from dlms import certificates
from dlms.axdr import length, length_size, put_length
from micropython import const

_KEK = const(3)

_SUCCESS = const(0)
_TYPE_UNMATCHED = const(12)
_OTHER_REASON = const(250)


def agree(model, row, client, octets):
    """A generator that returns (action_result, octets of the answer, [(key_id, key)]).

    client: its system title; octets: the A-XDR parameter, of the type of the method.
    """
    curve = certificates.curve(model, row)
    size = certificates.size(curve)
    if curve == "P-256":
        hash_name = "sha256"
        algorithms = kdf.AES_GCM_128, kdf.AES_WRAP_128
    else:
        hash_name = "sha384"
        algorithms = kdf.AES_GCM_256, kdf.AES_WRAP_256
    result, offers = _offers(octets, size)
    if result:
        return result, b"", None
    keys = []
    answer = bytearray((1, len(offers)))
    for key_id, offer in offers:
        head = bytes((key_id,))
        offered = offer[: 2 * size]
        good = yield from certificates.is_signed(
            model, row, client, (head, offered), offer[2 * size :]
        )
        if not good:
            return _OTHER_REASON, b"", None
        work = model.elliptic(curve)
        work.generate(model.random_fill)
        pair = yield from certificates.run(work)
        work.agree(pair[:size], offered)
        z = yield from certificates.run(work)
        signature = yield from certificates.sign(model, row, (head, pair[size:]))
        if z is None or signature is None:
            return _OTHER_REASON, b"", None
        algorithm = algorithms[1 if key_id == _KEK else 0]
        key = kdf.derive(hash_name, model.new_hash, z, algorithm, client, model.system_title)
        keys.append((key_id, key))
        part = bytearray(8)
        part[:5] = b"\x02\x02\x16" + head + b"\x09"
        answer += part[: put_length(part, 5, 4 * size)] + pair[size:] + signature
    return _SUCCESS, bytes(answer), keys


def _offers(octets, size):
    """(action_result, [(key_id, ephemeral key || signature)])"""
    end = len(octets)
    at = 1 + length_size(octets, 1)
    offers = []
    while at < end:
        key_id = octets[at + 3]
        n = length(octets, at + 5, end)
        at += 5 + length_size(octets, at + 5)
        if key_id > _KEK or n != 4 * size:
            return _TYPE_UNMATCHED, None
        for other, _ in offers:
            if other == key_id:
                return _OTHER_REASON, None
        offers.append((key_id, bytes(octets[at : at + n])))
        at += n
    return _SUCCESS, offers
