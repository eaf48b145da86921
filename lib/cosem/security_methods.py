# SPDX-License-Identifier: MIT
"""The methods of Security setup that are jobs (IEC 62056-6-2, 4.4.7 and 5.4.8): which module does
each, and whether the keys that it brings may come. Loaded when a client asks for one; allocates.
"""

from micropython import const

_KEY_TRANSFER = const(2)
_KEY_AGREEMENT = const(3)

_SUCCESS = const(0)
_TEMPORARY_FAILURE = const(2)
_OTHER_REASON = const(250)


def job(handler, a, row, method, octets):
    """Generator: as Handler.job(). Keys that have come wait in a.agreed, for Handler.finish()."""
    model = handler.model
    if method == _KEY_TRANSFER:
        from cosem.key_transfer import transfer

        context = handler.context(row)
        result, keys = transfer(handler.kek(context), context.key_len(), octets)
        answer = b""
    elif method == _KEY_AGREEMENT:
        from cosem.key_agreement import agree

        result, answer, keys = yield from agree(model, row, bytes(a.title), octets)
    else:
        from cosem import security_certificates

        return (yield from security_certificates.job(model, row, method, octets))
    if result:
        return result, b""
    from cosem.key_places import is_taken

    if model.full:
        return _TEMPORARY_FAILURE, b""  # they would be gone with the next power failure
    agreed = [(row, key_id, bytearray(key)) for key_id, key in keys]
    if is_taken(model, agreed):
        # uncertain: which result; no public text says what a key is that another place has.
        return _OTHER_REASON, b""
    a.agreed = agreed
    return _SUCCESS, answer
