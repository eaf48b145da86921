# SPDX-License-Identifier: MIT
"""What goes wrong on a network, for the profiles whose modem registers by itself: PRIME and G3.
Loss, corrupted lengths and noise: test_prime.py, test_g3.py, test_modem_random.py; S-FSK, which
registers in the meter: test_sfsk.py; ISO/IEC 14908: test_lon.py.
"""

import pytest
import small
from doubles.meters import ID, PORT, G3Meter, PRIMEMeter, action, get
from profiles.modems import g3_adp, prime_node

AARQ = small.aarq(b"12345678")
ENERGY = get(3, "1.0.1.8.0", 2)
VALUE = "C401C100060001E240"
LONG = get(15, "0.0.40.0.2", 2)
PROFILES = {"prime": PRIMEMeter, "g3": G3Meter}


def driver(here):
    double = here.double
    if isinstance(here, PRIMEMeter):
        return prime_node.Modem(double.uart, double.reset, ID)
    return g3_adp.Modem(double.uart, double.reset)


def payload(sent):
    return sent if isinstance(sent, bytes) else sent[3]


def power_comes_back(here, name):
    """The meter begins anew; its modem may have gone on."""
    here.modem = driver(here)
    here.meter = small.Meter(small.HERE / "definitions" / (name + ".toml"), handlers=None)
    here.station = here.make(here.meter)
    here.meter.model.plc = {here.station.name: here.station}
    here.station.open(here.now())


@pytest.fixture(params=PROFILES)
def here(request):
    made = PROFILES[request.param]().up()
    made.name = request.param
    assert made.ask(AARQ).startswith("61")
    return made


def test_a_request_that_comes_twice(here):
    """On PRIME it is dropped while its answer waits. There are no numbers below an APDU: else it
    is answered again, and its invoke-id tells the client what that is to."""
    sent = len(here.double.sent)
    for _ in range(2):
        here.say(ENERGY)
    here.run(500)
    assert len(here.double.sent) == sent + (1 if here.name == "prime" else 2)
    assert {octets[-5:] for octets in map(payload, here.double.sent[sent:])} == {
        b"\x06\x00\x01\xe2\x40"
    }
    assert here.ask(ENERGY) == VALUE


def test_a_block_that_is_asked_for_twice_and_one_out_of_order(here):
    model = here.meter.model
    if here.name == "g3":
        row = model.find_any(bytes.fromhex("00010000600109FF"), 0)
        model.write(row, 2, b"\x09\x82\x10\x00" + bytes(4096), 0, 4100)
    descriptor = LONG if here.name == "prime" else get(1, "0.0.96.1.9", 2)
    assert here.ask(descriptor).startswith("C402C1000000000100")
    second = here.ask(bytes.fromhex("C002C100000001"))
    assert second.startswith("C402C1") and second[8:16] == "00000002"
    assert here.ask(bytes.fromhex("C002C100000001")) == second
    late = here.ask(bytes.fromhex("C002C100000007"))
    assert late.startswith("C402C101") and here.ask(ENERGY) == VALUE


def test_a_concentrator_that_restarts(here):
    """It knows nothing of its association, and begins with an AARQ. On PRIME the meter registers
    again; on G3 it may be another client by its port, until the first was silent for long enough.
    """
    again = {}
    if here.name == "prime":
        here.double.unregister()
        here.until(lambda: not here.modem.is_up, 500)
        here.double.network = True
        here.up()
    else:
        again["port"] = PORT + 1
        here.station.llc.wrapper.configure(60)
        here.say(AARQ, **again)
        here.run(61000)
        assert here.station.n_foreign == 1
    assert here.ask(AARQ, **again).startswith("61")
    assert here.ask(ENERGY, **again) == VALUE


def test_two_concentrators(here):
    """Who is not the base node, or the client that is there, is not heard."""
    sent = len(here.double.sent)
    if here.name == "prime":
        here.say(ENERGY, source=0x77)
    else:
        here.say(ENERGY, source=bytes.fromhex("FE80000000000000781D00FFFE000009"))
    here.run(500)
    assert len(here.double.sent) == sent and here.station.n_foreign == 1
    assert here.ask(ENERGY) == VALUE


@pytest.mark.parametrize("modem_too", [False, True], ids=["meter", "both"])
@pytest.mark.parametrize("after_ms", [2, 40, 300, 1000, 1600, 1800, 3100, 5000])
@pytest.mark.parametrize("name", PROFILES)
def test_power_fails_during_registration(name, after_ms, modem_too):
    """After as many milliseconds; then it is found again, and serves."""
    here = PROFILES[name]()
    here.run(after_ms)
    if modem_too:
        here.double.is_reset()
    power_comes_back(here, name)
    here.until(lambda: here.modem.is_up, 30000)
    assert here.ask(AARQ).startswith("61")
    assert here.ask(ENERGY) == VALUE


def test_power_fails_while_an_association_is_open(here):
    """The network may not notice; the association is gone, and its requests are refused."""
    here.say(action(8, "0.0.1.0.0", 1))
    here.run(2)
    power_comes_back(here, here.name)
    here.until(lambda: here.modem.is_up, 30000)
    assert here.ask(ENERGY).startswith("D8")
    assert here.ask(AARQ).startswith("61")
