# SPDX-License-Identifier: MIT
"""Whole networks of PRIME and G3 (host_tests/plc): the profiles with a real server, behind modems
on a simulated medium with losses in bursts, hidden nodes and relays; and the reference meter."""

import pytest
import small
from plc import g3, prime
from plc.meters import Made
from plc.network import Clock
from plc.reference import READING, Reference, get

REFERENCE = small.HERE.parent / "firmware/definitions/residential.toml"
ASSOCIATION = 15
AARQ = small.aarq(b"12345678")
RLRQ = bytes.fromhex("6203800100")
METER, OTHER = b"METER1", b"METER2"
BURST = 15  # steps of 20 ms
NOT_ASSOCIATED = b"\xd8"
ENERGY = get(3, bytes.fromhex("0100010800FF"), 2)
OWN_LIST = get(15, bytes.fromhex("0000280002FF"), 2)
VALUE = bytes.fromhex("00060001E240")


class Net:
    """A head, relays in a row, meters behind the last; nobody hears more than a neighbour. Links
    stay bad for 300 ms in the mean, a few tries of a frame."""

    def __init__(self, of, n_relays=0, loss=0.0, seed=1, mades=None):
        self.clock = Clock()
        self.air = of.air(self.clock, seed)
        self.head = of.Head(self.air)
        self.relays = [of.Modem(self.air, b"RELAY%d" % k) for k in range(n_relays)]
        row = [self.head, *self.relays]
        for a, b in zip(row, row[1:]):
            self.air.connect(a, b, loss, burst=BURST)
        for relay in self.relays:
            relay.open(0)
        if mades is None:
            path = small.HERE / ("definitions/%s.toml" % of.__name__[4:])
            mades = {METER: Made(path)}
        self.meters = {}
        for name, made in mades.items():
            self.meters[name] = of.meter(self.air, made, name)
            self.air.connect(row[-1], self.modem(name), loss, burst=BURST)
        self.head.wait_for(*mades)

    def modem(self, name=METER):
        return self.meters[name].station.modem

    def ask(self, apdu, name=METER, **options):
        return self.head.ask(name, apdu, **options)

    def open(self, name=METER):
        assert self.ask(AARQ, name)[:1] == b"\x61"
        return self

    def reads(self, name=METER):
        return self.ask(ENERGY, name)[3:] == VALUE

    def until(self, done, limit_ms=600000):
        assert self.clock.run(self.clock.now_ms + limit_ms, done)


BOTH = pytest.mark.parametrize("of", [prime, g3], ids=["prime", "g3"])


@BOTH
@pytest.mark.parametrize("n_relays", [0, 1, 2])
@pytest.mark.parametrize("loss", [0, 0.1, 0.3])
def test_association_get_release(of, n_relays, loss):
    net = Net(of, n_relays, loss).open()
    assert net.reads()
    assert net.ask(RLRQ)[:1] == b"\x63"
    assert len(net.modem().path) == n_relays + 2
    assert all(relay.n_forwarded for relay in net.relays)
    if not loss:
        assert net.head.n_repeated == 0


@BOTH
def test_every_attribute_of_the_reference_meter(of):
    nets = []

    def over_a_relay(made):
        nets.append(Net(of, 1, 0.05, mades={METER: made}))
        return lambda apdu: nets[0].ask(apdu, client=READING)

    _, n = Reference(REFERENCE, over_a_relay).compare((ASSOCIATION,))
    assert n > 700
    assert nets[0].relays[0].n_forwarded > 2 * n


@BOTH
def test_the_client_asks_again_where_half_is_lost(of):
    """What the modems give up is lost, and counted; who asks often enough hears an answer."""
    nets = [Net(of, 2, 0.5, seed).open() for seed in range(5)]
    for net in nets:
        assert net.reads() and net.ask(RLRQ)[:1] == b"\x63"
    assert sum(net.head.n_repeated for net in nets) > 0
    assert sum(net.meters[METER].station.n_lost for net in nets) > 0


@BOTH
def test_two_meters_that_do_not_hear_each_other(of):
    """Both are asked at once, again and again, behind the same relay."""
    path = small.HERE / ("definitions/%s.toml" % of.__name__[4:])
    net = Net(of, 1, 0.1, mades={METER: Made(path), OTHER: Made(path)})
    net.open(METER).open(OTHER)
    addresses = {net.head.places[name][0] for name in (METER, OTHER)}
    assert len(addresses) == 2
    for _ in range(10):
        begin = len(net.head.heard)
        for name in (METER, OTHER):
            net.head.say(*net.head.places[name], 1, 1, ENERGY)
        net.clock.run(net.clock.now_ms + 5000)
        found = net.head.heard[begin:]
        assert {h[0] for h in found} <= addresses
        assert all(h[2] == b"\xc4\x01\xc1" + VALUE for h in found)
    assert len(net.head.heard) >= 20
    assert net.air.n_collisions > 0


@BOTH
def test_another_address_ends_the_association(of):
    net = Net(of, 1).open()
    address = net.head.places[METER][0]
    net.head.unregister(METER)
    net.until(lambda: not net.modem().is_up)
    net.head.wait_for(METER)
    assert net.head.places[METER][0] == net.meters[METER].station.address != address
    assert net.ask(ENERGY)[:1] == NOT_ASSOCIATED
    assert net.open().reads()


@BOTH
def test_the_head_starts_again(of):
    """It gives its addresses anew: the same to one that comes first, and its association stays."""
    net = Net(of, 0).open()
    net.head.restart()
    assert net.ask(ENERGY, tries=2) is None
    net.until(lambda: not net.modem().is_up)
    net.head.wait_for(METER)
    assert net.reads()


@BOTH
def test_the_head_starts_again_with_other_addresses(of):
    net = Net(of, 1).open()
    net.head.restart()
    net.head.next_address = 0x321
    net.until(lambda: not net.modem().is_up)
    net.head.wait_for(METER)
    assert net.ask(ENERGY)[:1] == NOT_ASSOCIATED
    assert net.open().reads()


@BOTH
def test_a_way_that_is_gone_is_found_anew(of):
    """The relay is dead, another one hears both: the address stays, and the association."""
    net = Net(of, 1).open()
    relay = of.Modem(net.air, b"SECOND")
    net.air.connect(net.head, relay)
    net.air.connect(relay, net.modem())
    relay.open(0)
    net.until(lambda: relay.is_up)
    net.relays[0].power_off()
    net.until(lambda: not net.modem().is_up)
    net.head.wait_for(METER)
    assert relay in net.modem().path and net.reads()


@BOTH
def test_an_answer_that_cannot_be_sent_is_counted(of):
    """The way back is lost: the modem gives up, and the client hears nothing."""
    net = Net(of, 0).open()
    modem, station = net.modem(), net.meters[METER].station
    net.air.disturb = lambda source, node, content: None if source is modem else content
    net.head.say(*net.head.places[METER], 1, 1, ENERGY)
    net.until(lambda: station.n_lost == 1)
    assert modem.n_failed and modem.is_up
    net.air.disturb = None
    assert net.reads()


def lose_answer(head, k):
    """The head never sees the k-th answer from now on, which its modem has acknowledged."""
    come = head.data

    def data(path, about, octets):
        nonlocal k
        k -= 1
        if k:
            come(path, about, octets)

    head.data = data


@BOTH
@pytest.mark.parametrize("k", [1, 2], ids=["first", "next"])
def test_a_block_whose_answer_is_lost(of, k):
    """LLC and wrapper say it again (profiles/repeated.py)."""
    net = Net(of, 1).open()
    lose_answer(net.head, k)
    first = net.ask(OWN_LIST)
    assert first[:2] == b"\xc4\x02" and first[3] == 0
    answer = net.ask(b"\xc0\x02\xc1\x00\x00\x00\x01")
    assert net.head.n_repeated == 1
    assert (answer[1], answer[3], answer[8]) == (2, 1, 0)


@BOTH
def test_values_of_the_modem(of):
    """What it sends is counted (classes 84, 90), its place is known (83, 91)."""
    net = Net(of, 0).open()
    net.clock.run(net.clock.now_ms + 30000)
    if of is prime:
        counter, place = get(84, b"\0\0\x1c\4\0\xff", 2), get(83, b"\0\0\x1c\3\0\xff", 2)
        expected = b"\x10\x00\x01"
    else:
        counter, place = get(90, b"\0\0\x1d\0\0\xff", 2), get(91, b"\0\0\x1d\1\0\xff", 2)
        expected = b"\x12" + net.modem().address.to_bytes(2, "big")
    assert net.ask(place)[4:] == expected
    assert int.from_bytes(net.ask(counter)[5:], "big") > 2
    assert len(net.modem().written) > 5 and net.meters[METER].station.attributes.n_refused > 0
