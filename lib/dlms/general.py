# SPDX-License-Identifier: MIT
"""General-ciphering with keys of its own, and general-signing (IEC 62056-5-3, 5.3.3 to 5.3.6).

    DD  five fields  01 key-info  length  security control  counter (4)  octets [tag 12]
    DF  five fields  content  signature                              each with a length

    key-info   00 key-id                identified: only for data (cosem/protected.py); APDUs with
                                        it need no job, see identified.py
               01 00 wrapped-key        under the key encryption key of the Security setup
               02 parameters data       agreed: see agreed.py; 01 one-pass, 02 static unified

peel() and seal() are jobs: generators that run between two requests and may allocate. Layers: an
answer is signed first and ciphered then; a request may come in the other order, too. Where an
answer has to be signed that would be ciphered in a service-specific form, it takes general-glo or
general-ded, which can hold a general-signing.

The answer has the transaction-id of the request, and its kind of key: the same wrapped key; or a
key agreed the same way in the other direction. Not taken: compression (V.44), an absent key-info,
a security control without protection, transaction-ids of more than 32 octets.

Repetitions: see marks.py.

On a Cortex-M3 at 62.5 million instructions a second (host_tests/test_cortex_m3_crypto.py), suite 1
and suite 2; no step takes more than 35 ms:

                     request          answer           heap held meanwhile
    wrapped          4 ms     5 ms    4 ms     5 ms    1.1 KiB   1.1 KiB
    signed           1.7 s    4.2 s   0.7 s    1.9 s   3.1 KiB   3.9 KiB
    one-pass         2.9 s    7.4 s   2.6 s    6.5 s   4.6 KiB   7.0 KiB
    static unified   1.2 s    3.1 s   3 ms     6 ms    3.1 KiB   3.7 KiB
"""

from crypto import gcm
from crypto.keywrap import unwrap
from dlms import ciphering, identified
from dlms.axdr import length, length_size, put_length
from dlms.identified import addressed, content_of, decipher, encipher
from dlms.marks import marks, number
from micropython import const

_GENERAL_CIPHERING = const(0xDD)
_GENERAL_SIGNING = const(0xDF)
_FIRST_CIPHERED = const(0xC8)
_PRESENT = const(1)
_IDENTIFIED_KEY = const(0)
_WRAPPED_KEY = const(1)
_AGREED_KEY = const(2)
_MASTER_KEY = const(0)

# Of ciphering.py.
_AUTHENTICATED = const(1)
_CIPHERED = const(3)
_SIGNED = const(4)
_NOT_POSSIBLE = const(1)
_WRONG = const(5)
_REPLAYED = const(6)
_GLO = const(1)
_GENERAL_BY_GLO = const(3)
_IDENTIFIED = const(5)
# form, after those of ciphering.py and identified.py.
_WRAPPED = const(6)
_ONE_PASS = const(7)
_STATIC = const(8)

_FARTHEST = const(256)
_HEAD_LEN = const(5)
_TAG_LEN = const(12)
_FIELDS_LEN = const(20)  # but for the transaction-id
_KEY_LEN = b"\0\x40\x60"  # of a public key, and of a signature, by the suite
_HEADERS = const(32)

_REFUSED = (_WRONG, b"")


class Layer:
    """What the answer has to know of the request.

    transaction   transaction-id of the general-signing, with its length
    gcm, key_info   of the wrapped key, and how it came
    shared          z of the static keys
    """

    def __init__(self):
        self.transaction = None
        self.gcm = None
        self.key_info = b""
        self.shared = None


# --- Requests -------------------------------------------------------------------------------


def peel(a, context, octets):
    """Take the outermost layer off; octets: an APDU whose tag is DD or DF.

    Returns 0 and the octets in it, and adds to a.protection; or deciphering-error and nothing; or
    invocation-counter-error and the lowest counter that is taken; or operation-not-possible.
    """
    buf = bytearray(octets)
    if not a.protection:
        a.layer = None
    a.layer = a.layer or Layer()
    if buf[0] == _GENERAL_SIGNING:
        return (yield from _peel_signing(a, context, buf))
    return (yield from _peel_ciphering(a, context, buf))


def _peel_signing(a, context, buf):
    model = a.model
    end = len(buf)
    at = addressed(buf, 1, end, a.title, 0, model.system_title)
    n = length(buf, at, end) if at >= 0 else -1
    if n < 1 or not context.suite:
        return _REFUSED
    content = at + length_size(buf, at)
    at = content + n
    n = length(buf, at, end)
    if n < 0 or at + length_size(buf, at) + n != end or buf[content] == _GENERAL_SIGNING:
        return _REFUSED
    from dlms import certificates

    good = yield from certificates.is_signed(
        model,
        context.row,
        bytes(a.title),
        _signed(buf, at),
        bytes(buf[end - n :]),
        a.certificate,
    )
    if not good:
        return _REFUSED
    transaction = bytes(buf[1 : 2 + buf[1]])
    # Of what is not an APDU (see cosem/protected.py), no first octet is that of one that is.
    tag = buf[content]
    ciphered = tag >= _FIRST_CIPHERED and (
        tag == _GENERAL_CIPHERING or ciphering.is_protected(tag)
    )
    if not a.protection & _CIPHERED and not ciphered:
        wrong = marks(model, context).take(-1, number(transaction))
        if wrong:
            return (_NOT_POSSIBLE, b"") if wrong == _NOT_POSSIBLE else _REFUSED
    a.layer.transaction = transaction
    a.protection |= _SIGNED
    return 0, bytes(buf[content:at])


def _signed(buf, end):
    """What the signature of a general-signing APDU is made over: from the length of the
    transaction-id to the content, lengths included, the tag not.

    [?] No public source confirms this by a printed example; nothing else depends on it.
    """
    return (bytes(buf[1:end]),)


def _peel_ciphering(a, context, buf):
    model = a.model
    end = len(buf)
    at = addressed(buf, 1, end, a.title, 0, model.system_title)
    if at < 0:
        return _REFUSED
    form, after, data = _key_info(buf, at, end)
    content = content_of(context, buf, after, end) if form else -1
    if content < 0:
        return _REFUSED
    kinds = buf[content] >> 4
    if context.needs_request & ~kinds & _CIPHERED:
        return _NOT_POSSIBLE, b""  # see ciphering.py
    layer = a.layer
    transaction = bytes(buf[1 : 2 + buf[1]])
    g = None
    if form == _IDENTIFIED:
        _load(model, context)
        if data and context.broadcast is False:
            model.handler_of(context.row).load(context)
        held = context.broadcast if data else context.unicast
        g = held.gcm if held is not None else None
    elif form == _WRAPPED:
        g = wrapped(model, context, data)
    elif context.suite:
        g = yield from _agreed(a, context, form, transaction, data)
    if g is None:
        return _REFUSED
    yield
    _load(model, context)
    layer.key_info = bytes(buf[at:after])
    body = content + _HEAD_LEN
    if kinds & _AUTHENTICATED:
        end -= _TAG_LEN
    if not decipher(g, context, a.title, 0, buf, 1, at, content, end):
        return _REFUSED
    seen = marks(model, context)
    counter = int.from_bytes(buf[content + 1 : body], "big")
    if kinds & _AUTHENTICATED:
        wrong = seen.take(counter, number(transaction))
    elif counter > seen.rx + _FARTHEST:
        wrong = _REPLAYED  # see ciphering.py
    else:
        wrong = seen.take(counter, -1)
    if wrong:
        return wrong, seen.rx.to_bytes(4, "big") if wrong == _REPLAYED else b""
    if form == _WRAPPED:
        layer.gcm = g
    a.protection |= kinds
    a.form = form
    a.fields = buf
    a.fields_pos = 1
    return 0, bytes(buf[body:end])


def _load(model, context):
    """Keys that no association uses may have been let go of, while others were served."""
    if not context.loaded:
        model.handler_of(context.row).load(context)


def _key_info(buf, at, end):
    """(form, where it ends, key-ciphered-data, or the key-id); form 0: there is no such key."""
    nothing = (0, at, b"")
    if at + 3 >= end or buf[at] != _PRESENT:
        return nothing
    if buf[at + 1] == _IDENTIFIED_KEY and buf[at + 2] <= 1:
        return _IDENTIFIED, at + 3, buf[at + 2]
    if buf[at + 1] == _WRAPPED_KEY and buf[at + 2] == _MASTER_KEY:
        form = _WRAPPED
        at += 3
    elif buf[at + 1] == _AGREED_KEY and buf[at + 2] == 1 and buf[at + 3] in (1, 2):
        form = _ONE_PASS if buf[at + 3] == 1 else _STATIC
        at += 4
    else:
        return nothing
    n = length(buf, at, end)
    if n < 0:
        return nothing
    at += length_size(buf, at)
    return (form, at + n, bytes(buf[at : at + n])) if at + n < end else nothing


def wrapped(model, context, data):
    """AES-GCM of a wrapped key, or None."""
    kek = model.handler_of(context.row).kek(context)
    if kek is None or len(data) != context.key_len() + 8:
        return None
    key = bytearray(data)
    return gcm.new(model.aes(bytes(key[8:]))) if unwrap(kek, key, 0, len(key)) else None


def _agreed(a, context, form, transaction, data):
    from dlms import agreed

    model = a.model
    client = bytes(a.title)
    if form == _ONE_PASS:
        transaction = b""
        z = yield from agreed.receive(model, context.row, client, data, a.certificate)
    elif data:
        return None
    else:
        z = a.layer.shared = yield from agreed.shared(model, context.row, client)
    if z is None:
        return None
    own = bytes(model.system_title)
    key = agreed.derive(model, context.row, z, client, transaction, own)
    return gcm.new(model.aes(key))


# --- Answers --------------------------------------------------------------------------------


def overhead(a, kinds):
    """Octets that seal() adds at most. Nothing is allocated."""
    n = 0
    n_key = _KEY_LEN[a.context.suite]
    if kinds & _SIGNED:
        n = 1 + _FIELDS_LEN + _transaction_len(a) + 3 + 1 + n_key
    kinds &= _CIPHERED
    form = a.form
    if not kinds:
        return n
    if form < _IDENTIFIED:
        return n + ciphering.overhead(_form(a, n), kinds)
    n += identified.overhead(a, kinds)
    if form == _WRAPPED:
        n += len(a.layer.key_info) - 3
    elif form == _STATIC:
        n += 2
    elif form == _ONE_PASS:
        n += 4 + 2 * n_key
    return n


def _form(a, signed):
    """The form of ciphering.py in which an answer goes."""
    form = a.form or _GLO
    return form + 2 if signed and form < _GENERAL_BY_GLO else form


def _transaction_len(a):
    if a.protection & _SIGNED:
        return len(a.layer.transaction)
    return 1 + a.fields[a.fields_pos] if a.form >= _IDENTIFIED else 1


def _transaction(a):
    """The transaction-id for a general-signing, with its length."""
    if a.protection & _SIGNED:
        return a.layer.transaction
    if a.form >= _IDENTIFIED:
        return bytes(a.fields[a.fields_pos : a.fields_pos + _transaction_len(a)])
    return b"\0"


def seal(a, context, octets, kinds):
    """Protect the plain answer as the request was, with these kinds.

    Returns 0 and the octets; or operation-not-possible and nothing: no counter is left, or a key
    is missing.
    """
    made = octets
    if kinds & _SIGNED:
        made = yield from _seal_signing(a, context, octets)
    signed = kinds & _SIGNED
    kinds &= _CIPHERED
    if made is None or not kinds:
        pass
    elif a.form <= _IDENTIFIED:
        made = _seal_in_place(a, context, made, kinds, signed)
    else:
        made = yield from _seal_ciphering(a, context, made, kinds)
    a.layer = None
    return (0, made) if made is not None else (_NOT_POSSIBLE, b"")


def _fields(a, transaction):
    title = bytes(a.model.system_title)
    return transaction + b"\x08" + title + b"\x08" + bytes(a.title) + b"\0\0"


def _with_length(octets):
    head = bytearray(4)
    return bytes(head[: put_length(head, 0, len(octets))]) + octets


def _seal_signing(a, context, octets):
    if not context.suite:
        return None
    from dlms import certificates

    made = b"\xdf" + _fields(a, _transaction(a)) + _with_length(octets)
    signature = yield from certificates.sign(a.model, context.row, _signed(made, len(made)))
    return None if signature is None else made + _with_length(signature)


def _seal_in_place(a, context, octets, kinds, signed):
    """With a key that the meter has."""
    model = a.model
    _load(model, context)
    protect = identified.protect
    if a.form < _IDENTIFIED:
        protect = ciphering.protect
        a.form = _form(a, signed)
    model.handler_of(context.row).tx(context)
    start = _HEADERS + overhead(a, kinds)
    end = start + len(octets)
    buf = bytearray(end + _TAG_LEN)
    buf[start:end] = octets
    start = protect(a, context, model.system_title, kinds, buf, start, end)
    return None if start < 0 else bytes(buf[start : a.plain_end])


def _seal_ciphering(a, context, octets, kinds):
    """With a key of its own."""
    model = a.model
    layer = a.layer
    transaction = bytes(a.fields[a.fields_pos : a.fields_pos + 1 + a.fields[a.fields_pos]])
    g = layer.gcm
    info = layer.key_info
    if a.form != _WRAPPED:
        from dlms import agreed

        z = layer.shared
        nonce = transaction
        if a.form == _ONE_PASS:
            nonce = b""
            begun = yield from agreed.begin(model, context.row, bytes(a.title))
            if begun is None:
                return None
            z, data = begun
            info = info[:4] + _with_length(data)
        own = bytes(model.system_title)
        key = agreed.derive(model, context.row, z, own, nonce, bytes(a.title))
        g = gcm.new(model.aes(key))
        yield
    _load(model, context)
    counter = model.handler_of(context.row).tx(context)
    if counter is None:
        return None
    fields = _fields(a, transaction)
    n = _HEAD_LEN + len(octets) + (_TAG_LEN if kinds & _AUTHENTICATED else 0)
    head = bytearray(4)
    head = head[: put_length(head, 0, n)]
    buf = bytearray(b"\xdd" + fields + info + head + bytes((kinds << 4 | context.suite,)))
    content = len(buf) - 1
    buf += bytes(4) + octets
    end = len(buf)
    buf += bytes(_TAG_LEN if kinds & _AUTHENTICATED else 0)
    encipher(g, context, counter, model.system_title, buf, 1, 1 + len(fields), content, end)
    return bytes(buf)
