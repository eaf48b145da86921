# SPDX-License-Identifier: MIT
"""What has to be true after any input: of an answer, of the server, of the model's image."""

from decoding import apdu as decoded
from dlms import axdr, types

MOST_TURNS = 20000  # of work() for one request
LONGEST = 3000
_IDLE, _PENDING, _OPEN = range(3)
_TEXTS = ("visible-string", "utf8-string")
_KIND, _RAM, _LATE = 0x0F, 2, 5

# Answers: what their first octet may be.
_GLO = (0x28, 0xCC, 0xCD, 0xCF, 0x2C, 0x2D, 0x2E)
_DED = (0xD4, 0xD5, 0xD7, 0x4C, 0x4D, 0x4E)


def turn(server):
    """All that requests wait for is done."""
    n = 0
    while server.todo:
        server.work()
        n += 1
        assert n < MOST_TURNS, "work() comes to no end"


def ask(server, channel, client, device, apdu, confirmed=1):
    """The answer to an APDU, as a link would get it; b"" for none."""
    buf = bytearray(apdu)
    n_turns = 0
    while True:
        n = server.request(channel, client, device, buf, 0, len(buf), confirmed)
        if n >= 0:
            break
        assert server.todo or not confirmed, "it waits for nothing"
        turn(server)
        n_turns += 1
        assert n_turns < MOST_TURNS, "a request waits for ever"
        if not confirmed:
            break
    turn(server)
    healthy(server)
    if n <= 0:
        return b""
    at = channel.tx_pos
    assert 32 <= at and at + n <= len(channel.tx), "an answer outside of its buffer"
    return bytes(channel.tx[at : at + n])


def healthy(server):
    """Nothing was caught on the way."""
    fault, server.fault = server.fault, None
    if fault is not None:
        raise fault


def legal(server):
    """Associations are in a state that there is, and none of them is there twice."""
    seen = set()
    for a in server.associations:
        assert a.state in (_IDLE, _PENDING, _OPEN), a.state
        if a.state != _IDLE:
            who = (id(a.channel), a.client_sap, a.server_sap)
            assert a.channel is not None and who not in seen, who[1:]
            seen.add(who)
            assert server.config(a.client_sap, a.server_sap) is not None


def consistent(model):
    """Each slot holds a value of its type."""
    if not hasattr(model, "stored"):  # for the next time
        model.stored = [
            (row, attribute)
            for row in range(model.n_rows())
            for attribute in range(1, model.n_attributes(row) + 1)
            if model.attributes[model.entry(row, attribute)] & _KIND in (_RAM, _LATE)
        ]
    for row, attribute in model.stored:
        at = model.slot(row, attribute)
        if at < 0:
            continue
        n = model.image[at - 2] << 8 | model.image[at - 1]
        end = types.check(model.types, model.type_at(row, attribute), model.image, at, at + n)
        if end == at + n and n <= model.capacity(row, attribute):
            continue
        raise AssertionError(
            "class %d row %d attribute %d: no value of its type, or longer than its slot: %s"
            % (model.class_id(row), row, attribute, model.image[at : at + n].hex())
        )


# --- Answers --------------------------------------------------------------------------------


def answers(request, reply):
    """Is this an answer to that (b"": whatever it was), whole, with nothing behind it? The
    decoder of the PC, which is not of the stack, has to say so, too."""
    if not reply:
        return
    for node, fault in decoded.decode(reply).faults():
        # Of what characters a text is, is left to who writes it.
        assert node.type in _TEXTS, "%s in %s" % (fault, reply.hex())
    assert len(reply) <= LONGEST
    tag = reply[0]
    end = len(reply)
    if tag == 0xD8:
        assert end == 3 or end == 7 and reply[2] == 6, "exception-response"
        assert 1 <= reply[1] <= 2 and 1 <= reply[2] <= 6
    elif tag == 0x0E:
        assert end == 4, "confirmedServiceError"
    elif tag == 0x61 or tag == 0x63:
        _ber(reply, 0, end)
    elif tag in _GLO or tag in _DED:
        assert _string(reply, 1, end) == end, "length of what is ciphered"
    elif tag in (0xDB, 0xDC):
        assert _string(reply, _string(reply, 1, end), end) == end
    elif tag == 0xDD or tag == 0xDF:
        pass  # whoever deciphers it, or verifies it, sees
    elif tag == 0xE0:
        assert end >= 6 and _string(reply, 6, end) == end, "general-block-transfer"
    else:
        plain(request, reply)


def plain(request, reply):
    """An answer in plain text."""
    tag, end = reply[0], len(reply)
    if tag == 0xD8:
        assert end == 3 or end == 7 and reply[2] == 6
        return
    if tag == 0xC4:
        kind, at = reply[1], 3
        if kind == 1:
            at = _result(reply, at, end)
        elif kind == 2:
            at = _block(reply, at, end)
        else:
            assert kind == 3
            at = _times(_result, reply, at, end)
    elif tag == 0xC5:
        kind, at = reply[1], 3
        if kind == 1:
            at += 1
        elif kind == 2:
            at += 4
        elif kind == 3:
            at += 5
        elif kind == 4:
            at = _times(lambda buf, pos, end: pos + 1, reply, at, end) + 4
        else:
            assert kind == 5
            at = _times(lambda buf, pos, end: pos + 1, reply, at, end)
    elif tag == 0xC7:
        kind, at = reply[1], 3
        if kind == 1:
            at = _done(reply, at, end)
        elif kind == 2:
            at = _string(reply, at + 5, end)
        elif kind == 3:
            at = _times(_done, reply, at, end)
        else:
            assert kind == 4
            at += 4
    elif tag == 0xDA:
        at = _string(reply, 5, end)  # date-time
        assert reply[at] in (0, 1)
        at = _specifications(reply, at + 1, end) if reply[at] else at + 1
        at = _times(_datum, reply, at, end)
        at = _times(lambda buf, pos, end: pos + 2, reply, at, end)
    elif tag == 0x0C:
        at = _times(_read, reply, 1, end)
    elif tag == 0x0D:
        at = _times(_written, reply, 1, end)
    elif tag == 0x08:  # InitiateResponse, inside
        at = end
    elif tag == 0xE7:
        at = end
    else:
        raise AssertionError("what is this answer: " + reply.hex())
    assert at == end, "it ends at %d of %d: %s" % (at, end, reply.hex())


def _string(buf, pos, end):
    n = axdr.length(buf, pos, end)
    assert n >= 0
    return pos + axdr.length_size(buf, pos) + n


def _times(part, buf, pos, end):
    n = axdr.length(buf, pos, end)
    assert n >= 0
    pos += axdr.length_size(buf, pos)
    for _ in range(n):
        pos = part(buf, pos, end)
        assert 0 < pos <= end
    return pos


def _datum(buf, pos, end):
    after = axdr.skip(buf, pos, end)
    assert after > 0, "no Data at %d of %s" % (pos, buf.hex())
    return after


def _result(buf, pos, end):
    if buf[pos] == 0:
        return _datum(buf, pos + 1, end)
    assert buf[pos] == 1 and buf[pos + 1]
    return pos + 2


def _block(buf, pos, end):
    assert buf[pos] in (0, 1)
    if buf[pos + 5] == 1:
        return pos + 7
    assert buf[pos + 5] == 0
    return _string(buf, pos + 6, end)


def _done(buf, pos, end):
    if buf[pos + 1] == 0:
        return pos + 2
    assert buf[pos + 1] == 1
    return _result(buf, pos + 2, end)


def _specifications(buf, pos, end):
    n = axdr.length(buf, pos, end)
    pos += axdr.length_size(buf, pos)
    for _ in range(n):
        assert 1 <= buf[pos] <= 5, "access-request-specification"
        selects = buf[pos] > 3
        pos += 10
        if selects:
            pos = _datum(buf, pos + 1, end)
    return pos


def _read(buf, pos, end):
    kind = buf[pos]
    if kind == 0:
        return _datum(buf, pos + 1, end)
    if kind == 1:
        return pos + 2
    if kind == 2:
        return _string(buf, pos + 4, end)
    assert kind == 3, "block-number"
    return pos + 3


def _written(buf, pos, end):
    if buf[pos] == 0:
        return pos + 1
    return pos + (2 if buf[pos] == 1 else 3)


def _ber(buf, pos, end):
    n = axdr.length(buf, pos + 1, end)
    assert n >= 0
    at = pos + 1 + axdr.length_size(buf, pos + 1)
    assert at + n == end, "length of an AARE or RLRE"
    while at < end:
        at = _string(buf, at + 1, end)
        assert at <= end


def no_secret(secrets, reply):
    """None of these octets in an answer."""
    for secret in secrets:
        assert secret not in reply, "a secret in " + reply.hex()
