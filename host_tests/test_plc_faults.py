# SPDX-License-Identifier: MIT
"""What goes wrong on a network: CASES says for each profile where it is tested; and here are the
tests of those whose modem registers by itself, PRIME and G3.
"""

import re

import pytest
import small
from doubles.meters import ID, PORT, G3Meter, PRIMEMeter, action, get
from profiles.modems import g3_adp, prime_node

AARQ = small.aarq(b"12345678")
ENERGY = get(3, "1.0.1.8.0", 2)
VALUE = "C401C100060001E240"
LONG = get(15, "0.0.40.0.2", 2)
PROFILES = {"prime": PRIMEMeter, "g3": G3Meter}
POWER_LINES = ("sfsk", "prime", "g3", "lon", "st7580")

# Where each is tested; "" is the file of the profile. What is behind a dash says why not.
CASES = {
    "loss": (
        "sfsk_budget: a_conversation_is_within_its_budget",
        "plc_networks: association_get_release",
        "plc_networks: association_get_release",
        ": frames_are_lost",
        ": a_frame_that_is_lost_is_said_again",
    ),
    "loss of all, for a while": (
        ": synchronization_lost_and_found_again",
        ": a_network_that_comes_back_finds_the_association",
        ": a_network_that_comes_back_finds_the_association",
        ": frames_are_lost",
        ": a_modem_that_was_reset",
    ),
    "duplicates": (
        ": a_late_duplicate_of_a_next_block_changes_nothing",
        "plc_faults: a_request_that_comes_twice",
        "plc_faults: a_request_that_comes_twice",
        "lon_node: a_request_that_comes_again_hears_the_same",
        ": a_frame_that_comes_twice_is_heard_once",
    ),
    "an answer that is lost, and its request comes again": (
        ": a_lost_block_is_asked_for_again_and_comes_again",
        "plc_networks: a_block_whose_answer_is_lost",
        "plc_networks: a_block_whose_answer_is_lost",
        "lon_node: a_request_that_comes_again_before_its_answer",
        ": a_frame_that_is_lost_is_said_again",
    ),
    "reordering": (
        ": blocks_out_of_order_end_the_transfer_and_nothing_else",
        "plc_faults: a_block_that_is_asked_for_twice_and_one_out_of_order",
        "plc_faults: a_block_that_is_asked_for_twice_and_one_out_of_order",
        ": segments_out_of_order_and_heard_late",
        ": frames_in_another_order",
    ),
    "corrupted lengths": (
        ": every_length_of_an_l_pdu_has_an_outcome",
        "modem_prime_node: data_that_is_none_is_dropped",
        "ipv6_udp: what_is_damaged_is_seen",
        ": corrupted_lengths_and_noise",
        ": corrupted_lengths",
    ),
    "a concentrator that restarts": (
        ": a_concentrator_that_restarts_finds_its_meter_where_it_was",
        "plc_faults: a_concentrator_that_restarts",
        "plc_faults: a_concentrator_that_restarts",
        ": a_concentrator_that_restarts",
        ": a_client_that_restarts",
    ),
    "a concentrator that has forgotten all": (
        ": a_concentrator_that_has_forgotten_all_waits_for_the_time_out",
        "plc_networks: the_head_starts_again_with_other_addresses",
        "plc_networks: the_head_starts_again_with_other_addresses",
        "- it knows its meters by addresses that are set, and keeps nothing else",
        "- likewise",
    ),
    "two initiators": (
        ": the_first_of_two_initiators_has_the_meter",
        "plc_faults: two_concentrators",
        "plc_faults: two_concentrators",
        ": two_concentrators",
        ": two_clients",
    ),
    "two initiators at once, before it is anybody's": (
        ": two_initiators_discover_at_once_and_one_gets_it",
        "- the modem registers with one base node, which it chooses",
        "modem_g3_adp: the_network_with_the_lowest_cost_is_joined",
        "- it is nobody's: any node of the domain may ask",
        "- likewise",
    ),
    "an address that changes while an association is open": (
        ": an_address_that_changes_ends_the_association",
        ": an_address_that_changes_ends_the_association",
        ": a_short_address_that_changes_ends_the_association",
        ": an_address_that_changes_while_an_association_is_open",
        ": the_device_address_changes_while_an_association_is_open",
    ),
    "power loss during registration": (
        ": power_fails_during_registration",
        "plc_faults: power_fails_during_registration",
        "plc_faults: power_fails_during_registration",
        "- there is none: addresses are set (class 130)",
        ": power_fails_while_the_link_is_made",
    ),
    "power loss while an association is open": (
        ": power_fails_while_an_association_is_open",
        "plc_faults: power_fails_while_an_association_is_open",
        "plc_faults: power_fails_while_an_association_is_open",
        ": power_fails_while_a_request_comes",
        ": power_fails_while_an_association_is_open",
    ),
}


def cells():
    for case, row in CASES.items():
        assert len(row) == len(POWER_LINES), case
        for profile, cell in zip(POWER_LINES, row):
            yield pytest.param(profile, cell, id="%s-%s" % (case, profile))


@pytest.mark.parametrize("profile, cell", list(cells()))
def test_each_case_has_its_test_for_each_profile(profile, cell):
    if cell.startswith("- "):
        return
    where, _, name = cell.partition(": ")
    text = (small.HERE / ("test_%s.py" % (where or profile))).read_text()
    assert re.search(r"^def test_%s\(" % name, text, re.M), cell


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
