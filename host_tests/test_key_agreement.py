# SPDX-License-Identifier: MIT
"""lib/cosem/key_agreement.py: method key_agreement of Security setup, C(2e, 0s)."""

import crypto_vectors
import pytest
from certified import (
    AGREES, CLIENT, DIGEST, NOW, OTHER_TITLE, SIGNS, SIZE, Certified, Served, act, array, enum,
    key, octet_string, public_key, public_octets, sign, structure, verify,
)  # fmt: skip
from crypto import ec as own_ec
from cryptography.hazmat.primitives.asymmetric import ec
from firmware.ports import ciphers
from secure import SERVER_TITLE, TITLE, take_length
from test_security_certificates import DAY, DONE, SUITES, requested, take
from test_security_setup import transfer

AGREE = 3
SUCCESS, UNAVAILABLE, TYPE_UNMATCHED, OTHER_REASON = 0, 11, 12, 250
GUEK_ID, GBEK_ID, GAK_ID, KEK_ID = range(4)
GET = "C00141 0001 0000603C01FF 02 00"
VALUE = "C401410009020102"
# Of the base point; 2**256 and 2**384 less something.
ORDER = {
    1: (1 << 256) - 0xFFFFFFFF00000000000000004319055258E8617B0C46353D039CDAAF,
    2: (1 << 384) - 0x389CB27E0BC8D220A7E5F24DB74F58851313E695333AD68D,
}


def offer(suite, signer, key_id, ephemeral, signature=None):
    """An element of the parameter."""
    octets = ephemeral if isinstance(ephemeral, bytes) else public_octets(ephemeral)
    if signature is None:
        signature = sign(suite, signer, bytes([key_id]) + octets)
    return structure(enum(key_id), octet_string(octets + signature))


def derived(suite, key_id, z, party_u=TITLE, party_v=SERVER_TITLE):
    """The concatenation KDF; the algorithm is that of the key."""
    algorithm = (2 if key_id == KEK_ID else 0) + suite - 1
    text = bytes.fromhex("00000001") + z + bytes.fromhex("608574050803") + bytes([algorithm])
    return DIGEST[suite](text + party_u + party_v).digest()[: 16 * suite]


def taken(answer, suite):
    """[(key_id, ephemeral key, signature)] of an answer."""
    n = SIZE[suite]
    assert answer[0] == 1
    at = 2
    found = []
    for _ in range(answer[1]):
        assert answer[at : at + 3] == b"\2\2\x16" and answer[at + 4] == 9
        key_id = answer[at + 3]
        size, at = take_length(answer, at + 5)
        assert size == 4 * n
        found.append((key_id, answer[at : at + 2 * n], answer[at + 2 * n : at + 4 * n]))
        at += size
    assert at == len(answer)
    return found


def agree(meter, c, *key_ids):
    """The keys that client and meter have agreed."""
    suite = c.suite
    ephemeral = {key_id: key(suite) for key_id in key_ids}
    signer = meter.client_key[suite]
    offers = [offer(suite, signer, key_id, ephemeral[key_id]) for key_id in key_ids]
    result, answer = act(c, AGREE, array(*offers))
    assert result == SUCCESS
    keys = {}
    for key_id, public, signature in taken(answer, suite):
        verify(suite, public_octets(meter.own_key[suite]), bytes([key_id]) + public, signature)
        z = ephemeral[key_id].exchange(ec.ECDH(), public_key(suite, public))
        keys[key_id] = derived(suite, key_id, z, c.title)
    assert list(keys) == list(key_ids)
    return keys


# --- Published examples -----------------------------------------------------------------------


V = {v["id"]: v for v in crypto_vectors.VECTORS}


def of(id_, name):
    return bytes.fromhex(V[id_][name])


class Fixed:
    """Work of crypto.ec whose key pairs are a given one."""

    def __init__(self, pair):
        self.pair = pair

    def __call__(self, name):
        work = ciphers.work(name)
        work.generate = lambda random_fill: setattr(work, "result", self.pair)
        return work


def published():
    """A meter and a client with the keys and titles of the example."""
    meter = Certified(elliptic=Fixed(of("gb-eum-z", "private") + of("gb-eum-z", "public")))
    meter.model.system_title = of("kdf-eum-correct", "party_v")
    title = of("kdf-eum-correct", "party_u")
    signer = public_key(1, of("gb-sig-keyagree", "public"))
    meter.put(1, CLIENT, SIGNS, title, meter.root[1].issue(signer, title))
    return meter, meter.client(1, title=title, meter_title=meter.model.system_title)


def published_offer(id_):
    text = of(id_, "text")
    return offer(1, None, text[0], text[1:], of(id_, "signature"))


def test_the_published_example():
    """Signature and ephemeral key of the client, ephemeral key of the server, Z, GUEK."""
    meter, c = published()
    assert of("gb-sig-keyagree", "text")[1:] == of("gb-eum-z", "peer")
    assert of("gb-eum-z", "out") == of("kdf-eum-correct", "text")
    result, answer = act(c, AGREE, array(published_offer("gb-sig-keyagree")))
    assert result == SUCCESS
    ((key_id, public, signature),) = taken(answer, 1)
    assert (key_id, public) == (GUEK_ID, of("gb-eum-z", "public"))
    verify(1, public_octets(meter.own_key[1]), b"\0" + public, signature)
    c.guek, c.ic = of("kdf-eum-correct", "out"), 0
    assert c.ask(GET) == VALUE


def test_the_published_example_with_a_wrong_signature():
    _, c = published()
    assert act(c, AGREE, array(published_offer("gb-sig-keyagree-bad"))) == (OTHER_REASON, b"")
    assert c.ask(GET) == VALUE


# --- Agree, and go on ---------------------------------------------------------------------------


@SUITES
def test_a_new_unicast_key(suite):
    """The answer comes under the old key; then the new one counts. The client's counters begin
    at 0, those of the meter go on."""
    meter = Certified()
    c = meter.client(suite)
    c.ic = 5000
    keys = agree(meter, c, GUEK_ID)
    assert len(keys[GUEK_ID]) == 16 * suite
    assert c.ask(GET).startswith("!D80105")
    c.guek, c.ic = keys[GUEK_ID], 0
    assert c.ask(GET) == VALUE
    assert c.server_ics[-1] == max(c.server_ics) and len(set(c.server_ics)) == len(c.server_ics)
    again = keys[GUEK_ID]
    assert agree(meter, c, GUEK_ID)[GUEK_ID] != again


@SUITES
def test_all_keys_at_once(suite):
    meter = Certified()
    c = meter.client(suite)
    keys = agree(meter, c, KEK_ID, GUEK_ID, GAK_ID, GBEK_ID)
    assert len(set(keys.values())) == 4
    c.guek, c.gak, c.ic = keys[GUEK_ID], keys[GAK_ID], 0
    assert c.ask(GET) == VALUE
    # Nothing says what came under a broadcast key but that it was served.
    unconfirmed = "C10101 0001 0000603C01FF 02 00 09020304"
    assert c.ask(unconfirmed, sc=0x70, key=keys[GBEK_ID], ic=0) == ""
    assert c.ask(GET) == "C401410009020304"
    wrapped = transfer((GUEK_ID, bytes(16 * suite)), kek=keys[KEK_ID])
    assert c.ask(wrapped.replace("00002B0001FF", "00002B000%dFF" % suite)) == "C701410000"


def own_curves(name):
    return own_ec.new(name, ciphers.new_hash)


def test_the_own_curves_do_the_same():
    meter = Certified(elliptic=own_curves)
    c = meter.client(1)
    keys = agree(meter, c, GUEK_ID)
    c.guek, c.ic = keys[GUEK_ID], 0
    assert c.ask(GET) == VALUE


@SUITES
def test_new_certificates_are_used_at_once(suite):
    """Of the meter and of the client; the keys of the old ones sign nothing any more."""
    meter = Certified()
    c = meter.client(suite)
    root = meter.root[suite]
    csr = requested(c)
    theirs = key(suite)
    assert take(c, root.issue(csr.public_key(), SERVER_TITLE)) == DONE
    assert take(c, root.issue(theirs, TITLE)) == DONE
    old = offer(suite, meter.client_key[suite], GUEK_ID, key(suite))
    assert act(c, AGREE, array(old)) == (OTHER_REASON, b"")
    ephemeral = key(suite)
    result, answer = act(c, AGREE, array(offer(suite, theirs, GUEK_ID, ephemeral)))
    assert result == SUCCESS
    ((_, public, signature),) = taken(answer, suite)
    verify(suite, public_octets(csr.public_key()), bytes([GUEK_ID]) + public, signature)
    z = ephemeral.exchange(ec.ECDH(), public_key(suite, public))
    c.guek, c.ic = derived(suite, GUEK_ID, z), 0
    assert c.ask(GET) == VALUE


def test_a_restart_finds_the_new_keys():
    meter = Certified()
    c = meter.client(1)
    keys = agree(meter, c, GUEK_ID, GAK_ID)
    again = Certified()
    again.model.image[:] = meter.saved[-1]
    again.model.handler("security_setup").start(again.rows[1])
    d = again.client(1, guek=keys[GUEK_ID], gak=keys[GAK_ID])
    assert d.ask(GET) == VALUE


def test_an_answer_that_nobody_fetches_changes_nothing():
    """The link is lost while the meter is at it, or when it is done."""
    for steps in (1, 100, 10000):
        meter = Certified(elliptic=own_curves)
        c = meter.client(1)
        before = bytes(meter.model.image)
        request = "C30141 0040 00002B0001FF 03 01" + array(good_offer(meter)).hex()
        apdu = bytearray(c.protect(bytes.fromhex(request)))
        for _ in range(steps):
            assert meter.server.request(c.talk.channel, 1, 1, apdu, 0, len(apdu)) == -1
            meter.server.work()
            if any(a.code is not None for a in meter.model.associations):
                break
        assert (steps == 10000) == any(a.code is not None for a in meter.model.associations)
        c.talk.channel.release()
        while meter.server.todo:
            meter.server.work()
        at = meter.model.state(meter.rows[1], 0)
        assert bytes(meter.model.image[at : at + 128]) == before[at : at + 128]
        assert meter.client(1).ask(GET) == VALUE


def test_no_key_at_all():
    c = Certified().client(1)
    assert act(c, AGREE, array()) == (SUCCESS, array())
    assert c.ask(GET) == VALUE


# --- What is refused ----------------------------------------------------------------------------


def refuses(meter, parameter, result=OTHER_REASON, suite=1, **how):
    """Nothing changes."""
    c = meter.client(suite, **how)
    at = meter.model.state(meter.rows[suite], 0)
    before = bytes(meter.model.image[at : at + 128])
    assert act(c, AGREE, parameter) == (result, b"")
    assert bytes(meter.model.image[at : at + 128]) == before
    assert c.ask(GET) == VALUE


@SUITES
@pytest.mark.parametrize("which", ["r", "s"])
@pytest.mark.parametrize("value", ["0", "n", "all ones"])
def test_numbers_that_no_signature_has(suite, which, value):
    meter = Certified()
    n = SIZE[suite]
    number = {"0": 0, "n": ORDER[suite], "all ones": (1 << 8 * n) - 1}[value].to_bytes(n, "big")
    ephemeral = public_octets(key(suite))
    good = sign(suite, meter.client_key[suite], bytes([GUEK_ID]) + ephemeral)
    signature = number + good[n:] if which == "r" else good[:n] + number
    refuses(meter, array(offer(suite, None, GUEK_ID, ephemeral, signature)), suite=suite)


@SUITES
@pytest.mark.parametrize("point", ["zeros", "ones", "off the curve", "x only"])
def test_points_that_are_none(suite, point):
    """Signed by the right client."""
    meter = Certified()
    n = SIZE[suite]
    good = public_octets(key(suite))
    octets = {
        "zeros": bytes(2 * n),
        "ones": b"\xff" * 2 * n,
        "off the curve": good[:-1] + bytes([good[-1] ^ 1]),
        "x only": good[:n] + bytes(n),
    }[point]
    bad = offer(suite, meter.client_key[suite], GUEK_ID, octets)
    refuses(meter, array(bad), suite=suite)


def good_offer(meter, key_id=GUEK_ID, signer=None):
    return offer(1, signer or meter.client_key[1], key_id, key(1))


@pytest.mark.parametrize("bit", [0, 100, 511, 512, 800, 1023])
def test_a_flipped_bit(bit):
    meter = Certified()
    octets = bytearray(array(good_offer(meter)))
    octets[-1 - bit // 8] ^= 1 << bit % 8
    refuses(meter, bytes(octets))


def test_somebody_elses_signature():
    meter = Certified()
    refuses(meter, array(good_offer(meter, signer=key(1))))
    refuses(meter, array(good_offer(meter, signer=meter.own_key[1])))


def test_a_signature_for_another_key():
    meter = Certified()
    text = public_octets(key(1))
    signature = sign(1, meter.client_key[1], bytes([GAK_ID]) + text)
    refuses(meter, array(offer(1, None, GUEK_ID, text, signature)))


def test_one_bad_key_of_a_list_spoils_them_all():
    meter = Certified()
    bad = good_offer(meter, GAK_ID, signer=key(1))
    refuses(meter, array(good_offer(meter), bad))
    refuses(meter, array(bad, good_offer(meter)))


def test_the_same_key_twice():
    meter = Certified()
    refuses(meter, array(good_offer(meter), good_offer(meter)))


def test_a_client_without_a_certificate():
    meter = Certified()
    refuses(meter, array(good_offer(meter)), title=OTHER_TITLE)
    meter.put(1, CLIENT, AGREES, OTHER_TITLE, meter.root[1].issue(key(1), OTHER_TITLE, AGREES))
    refuses(meter, array(good_offer(meter)), title=OTHER_TITLE)


def test_a_certificate_that_has_expired():
    meter = Certified()
    meter.set_time(NOW + 400 * DAY)
    refuses(meter, array(good_offer(meter)))


def test_a_meter_without_a_key_of_its_own():
    meter = Certified(own=False)
    refuses(meter, array(good_offer(meter)))


@pytest.mark.parametrize(
    "parameter",
    [
        array(structure(enum(4), octet_string(bytes(128)))),
        array(structure(enum(0), octet_string(bytes(127)))),
        array(structure(enum(0), octet_string(bytes(192)))),
        array(structure(enum(0), octet_string(b""))),
    ],
)
def test_what_is_no_offer(parameter):
    refuses(Certified(), parameter, TYPE_UNMATCHED)


def test_suite_0_agrees_nothing():
    meter = Certified()
    refuses(meter, array(good_offer(meter)), UNAVAILABLE, suite=0)


@SUITES
def test_on_micropython(micropython, tmp_path, suite):
    """With curves of our own; the heap is locked while a request is served."""
    meter = Served(micropython, tmp_path)
    c = meter.client(suite)
    bad = offer(suite, key(suite), GUEK_ID, key(suite))
    assert act(c, AGREE, array(bad)) == (OTHER_REASON, b"")
    keys = agree(meter, c, GUEK_ID, GAK_ID)
    c.guek, c.gak, c.ic = keys[GUEK_ID], keys[GAK_ID], 0
    assert c.ask(GET) == VALUE
    meter.close()
