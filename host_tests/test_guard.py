# SPDX-License-Identifier: MIT
"""lib/dlms/guard.py with the server: delays after failed authentications, and whom they reach.

The numbers are guard.py's: three failures are free, then 1 s, 2 s, ... 60 s. The client that
ciphers is secure.py.
"""

import subprocess
import types
from pathlib import Path

import pytest
import tables
from dlms.guard import lockout
from hypothesis import given
from hypothesis import strategies as st
from fakes import obis
from firmware import app, store
from firmware.links import make
from firmware.ports import cpython
from secure import Client
from small import Meter, Talk, aarq
from tables import definition, show, source
from test_hls import MECHANISMS, client

HERE = Path(__file__).parent

RIGHT, WRONG = b"12345678", b"87654321"
ACCEPTED = "A203020100A305A103020100"
REFUSED = "A203020101A305A10302010D"  # permanently: authentication-failure
LATER = "A203020102A305A203020101"  # transiently: the service provider gives no reason
DELAYS = [1, 2, 4, 8, 16, 32, 60, 60, 60]


def fail(talk, n):
    """Fail n times, and wait in between as long as it takes; after the last the delay runs."""
    for _ in range(n):
        locked_for(talk)


def opens(talk, secret=RIGHT):
    got = talk.open(secret)
    assert ACCEPTED in got or LATER in got, got
    return ACCEPTED in got


def delay(talk):
    """Seconds until the right secret opens; the association is released again."""
    seconds = 0
    while not opens(talk):
        talk.meter.server.guard.tick(1000)
        seconds += 1
    talk.say("6200")
    return seconds


def locked_for(talk):
    """Seconds until an attempt is judged again; it is a wrong one."""
    seconds = 0
    while True:
        got = talk.open(WRONG)
        if LATER not in got:
            assert REFUSED in got
            return seconds
        talk.meter.server.guard.tick(1000)
        seconds += 1


# --- The delay ------------------------------------------------------------------------------


def test_three_failures_are_free():
    t = Meter().talk()
    fail(t, 3)
    assert opens(t)


def test_the_fourth_waits_a_second_and_success_begins_anew():
    t = Meter().talk()
    fail(t, 4)
    assert not opens(t)
    assert delay(t) == 1
    fail(t, 3)
    assert opens(t)


def test_each_further_one_waits_twice_as_long_up_to_a_minute():
    t = Meter().talk()
    fail(t, 4)
    assert [locked_for(t) for _ in DELAYS] == DELAYS


def test_what_comes_meanwhile_is_not_judged_and_lengthens_nothing():
    meter = Meter()
    failures = []
    meter.server.on_authentication_failed = failures.append
    t = meter.talk()
    fail(t, 7)
    for _ in range(300):
        # The answer is the same for both: it says nothing about the secret.
        assert t.open(WRONG) == t.open(RIGHT)
    assert len(failures) == 7
    assert delay(t) == 8


def test_the_answer_is_that_of_a_meter_without_room():
    meter = Meter()
    t = meter.talk()
    fail(t, 4)
    full = Meter()
    for _ in range(3):
        full.management()
    head = "6129A109060760857405080101" + LATER
    assert t.open(RIGHT).startswith(head) and full.talk().open(RIGHT).startswith(head)


def test_an_unconfirmed_aarq_counts_too_and_is_answered_never():
    t = Meter().talk()
    quiet = aarq(WRONG, options="00010000").hex()
    for _ in range(9):
        assert t.say(quiet) == ""
    assert delay(t) == 1  # of the fourth; then nothing was judged


def test_what_proves_nothing_counts_nothing():
    t = Meter().talk()
    for _ in range(10):
        t.say(aarq(None).hex())  # no mechanism
        t.say(aarq(WRONG, mechanism=5).hex())  # another one
        t.say(aarq(WRONG, context=4).hex())
        t.say(aarq(WRONG).hex()[:-8])
    assert opens(t)


def test_a_new_aarq_that_waits_leaves_the_open_association_as_it_is():
    t = Meter().management()
    fail(t, 4)
    assert LATER in t.open(RIGHT)
    assert t.say("C00141 0001 00002A0000FF 02 00").startswith("C4014100")


def test_time_passes_in_whole_seconds_of_the_meter():
    meter = Meter()
    t = meter.talk()
    fail(t, 4)
    for _ in range(9):
        meter.server.guard.tick(100)
    assert not opens(t)
    meter.server.guard.tick(100)
    assert opens(t)


def test_a_long_tick_is_as_many_seconds():
    meter = Meter()
    t = meter.talk()
    fail(t, 8)
    meter.server.guard.tick(15900)
    assert not opens(t)
    meter.server.guard.tick(100)
    assert opens(t)


@given(
    st.integers(0, 300),
    st.integers(0, 10),
    st.integers(0, 2**30 - 1),
    st.integers(0, 255),
    st.integers(0, 2**30 - 1),
)
def test_lockout_is_what_the_formula_says(n, allowed, initial, factor, longest):
    expected = 0
    if n > allowed:
        expected = min(longest, initial * max(1, factor) ** (n - allowed - 1))
    assert lockout(n, allowed, initial, factor, longest) == expected


# --- What counts ----------------------------------------------------------------------------


@MECHANISMS
def test_wrong_proofs_of_every_mechanism(mechanism):
    meter = Meter()
    c = client(mechanism, meter)
    for _ in range(4):
        assert c.begin()["diagnostic"] == 14
        assert c.finish(bytes(17)) == "C701410300"
    got = c.begin()
    assert (got["result"], got["diagnostic"]) == (2, 1)
    meter.server.guard.tick(1000)
    c.open()
    c.talk.say("6200")
    # And all is forgotten.
    for _ in range(3):
        c.begin()
        assert c.finish(bytes(17)) == "C701410300"
    c.open()


@MECHANISMS
def test_a_client_that_does_not_come_back_with_pass_3_has_tried_nothing(mechanism):
    c = client(mechanism)
    for _ in range(20):
        c.begin()
    c.open()


def test_who_was_in_the_middle_of_it_may_finish_and_ends_the_delay():
    meter = Meter()
    right, wrong = client(6, meter), client(6, meter)
    right.begin()
    for _ in range(4):
        wrong.begin()
        wrong.finish(bytes(32))
    assert wrong.begin()["result"] == 2
    assert right.finish() == "ok"
    assert wrong.begin()["result"] == 0


@pytest.mark.parametrize("sap, mechanism", [(40, 5), (41, 5), (48, 1)])
def test_wrong_protection_of_the_aarq(sap, mechanism):
    meter = Meter()
    how = {"mechanism": mechanism, "secret": b"secret of small"}
    stranger = Client(meter.talk(client=sap, server=17), guek=bytes(16), **how)
    for _ in range(4):
        got = stranger.begin()
        assert (got["result"], got["diagnostic"]) == (1, 13)
    for _ in range(5):
        got = stranger.begin()
        assert (got["result"], got["diagnostic"]) == (2, 1)
    # He does not keep out who holds the key.
    Client(meter.talk(client=sap, server=17), **how).open()


def test_without_room_to_save_counters_nobody_has_failed():
    meter = Meter()
    meter.model.save = lambda: False
    c = Client(meter.talk(client=41, server=17))
    for _ in range(8):
        assert c.begin()["result"] == 1
    meter.model.save = meter.save
    meter.model.handler("security_setup").tick(0)
    c.open()


# --- Whom it reaches ------------------------------------------------------------------------


def test_another_client_is_not_delayed():
    meter = Meter()
    fail(meter.talk(client=32, server=17), 9)
    assert not opens(meter.talk(client=32, server=17))
    assert opens(meter.talk(client=1))
    assert ACCEPTED in meter.talk(client=16).open(None)


def test_the_same_client_on_another_link_is_not_delayed():
    meter = Meter()
    talks = [meter.talk() for _ in range(3)]
    for t in talks:
        t.channel.gate = meter.server.guard.gate()
    fail(talks[1], 9)
    assert [opens(t) for t in talks] == [True, False, True]
    # Nor by its own success on another.
    assert not opens(talks[1])


def test_a_second_connection_of_the_same_link_is_no_way_around():
    meter = Meter()
    gate = meter.server.guard.gate()
    one, two = meter.talk(), meter.talk()
    one.channel.gate = two.channel.gate = gate
    fail(one, 2)
    fail(two, 2)
    assert not opens(one) and not opens(two)


def test_who_holds_the_key_may_not_guess_a_secret_either():
    """LLS in a ciphered association: a right key and wrong secrets."""
    meter = Meter()
    insider = Client(meter.talk(client=48, server=17), mechanism=1, secret=b"guess")
    for _ in range(4):
        got = insider.begin()
        assert (got["result"], got["diagnostic"]) == (1, 13)
    got = insider.begin()
    assert (got["result"], got["diagnostic"]) == (2, 1)
    meter.server.guard.tick(1000)
    insider.secret = b"secret of small"
    insider.open()


def test_failures_with_and_without_the_key_are_counted_apart():
    meter = Meter()
    stranger = Client(meter.talk(client=48, server=17), mechanism=1, guek=bytes(16))
    holder = Client(meter.talk(client=48, server=17), mechanism=1, secret=b"secret of small")
    for _ in range(6):
        stranger.begin()
        holder.open()
        holder.talk.say("6200")
    assert stranger.begin()["result"] == 2


# --- At rest --------------------------------------------------------------------------------


def test_a_restart_forgets_nothing():
    meter = Meter()
    meter.model.on_edit = lambda row, attribute: meter.save()
    fail(meter.talk(), 8)
    again = Meter(image=meter.saved[-1])
    assert delay(again.talk()) == 16


def test_many_restarts_shorten_no_delay():
    """Nothing is saved while time passes: a restart finds the delay as it began."""
    meter = Meter()
    fail(meter.talk(), 6)
    saved = bytes(meter.model.image)
    for _ in range(10):
        meter = Meter(image=saved)
        meter.server.guard.tick(3000)
        assert not opens(meter.talk())
    assert delay(Meter(image=saved).talk()) == 4


def test_failure_and_success_are_reasons_to_save():
    meter = Meter()
    edits = []
    meter.model.on_edit = lambda row, attribute: edits.append((row, attribute))
    t = meter.talk()
    row = meter.model.configs[1][2]
    fail(t, 1)
    assert edits == [(row, 0)]
    opens(t)
    assert edits == [(row, 0)] * 2
    opens(t)
    assert edits == [(row, 0)] * 2


def test_its_record_is_hidden():
    """No attribute of Association LN shows it, and none can be written."""
    meter = Meter()
    t = meter.management()
    before = [t.say("C00141 000F 0000280002FF %02X 00" % k) for k in range(1, 12)]
    other = meter.talk()
    fail(other, 9)
    assert [t.say("C00141 000F 0000280002FF %02X 00" % k) for k in range(1, 12)] == before
    assert before[-1] == "C401410104"


DEFINITION = """
name = "guarded"
limits = {associations = 2, work_len = 512, max_send_pdu = 512, max_receive_pdu = 512}
[[device]]
name = "meter"
sap = 1
[access]
all = {client = "r w x"}
[[association]]
device = "meter"
client_sap = 1
object = "0.0.40.0.1"
mechanism = 1
role = "client"
conformance = ["get", "set", "action"]
[[objects]]
device = "meter"
access = "all"
list = [
    {class = 15, obis = "0.0.40.0.0"},
    {class = 15, obis = "0.0.40.0.1", secret = "12345678"},
    {class = 1, obis = "0.0.42.0.0", data_type = "octet-string", value = "TST0000000000001"},
    {class = 8, obis = "0.0.1.0.0"},
    {class = 1, obis = "0.0.96.11.1", data_type = "unsigned", source = "event.fraud"},
    {class = 1, obis = "0.0.96.15.3", data_type = "double-long-unsigned", \
source = "count.failed_authentications"},
    {class = 41, obis = "0.0.25.0.0"},
    {class = 124, obis = "0.0.44.2.0", protection_mode = 1, allowed_failed_attempts = 5, \
initial_lockout_time = 600, steepness_factor = 2, max_lockout_time = 9000, \
port_reference = "0.0.25.0.0"},
]
"""
EVENT, COUNTER = "0.0.96.11.1.255", "0.0.96.15.3.255"


class Whole:
    """A meter as the firmware puts it together, with its state in a folder, and a TCP link."""

    def __init__(self, folder):
        document = source.Document(DEFINITION, "guarded.toml")
        packed = tables.compile(definition.load_definition(document))
        packed = {k.upper(): v for k, v in vars(packed).items() if not k.startswith("_")}
        storage = store.FileStorage(str(folder), store.Files(False))
        self.now_ms = 0
        port = types.SimpleNamespace(
            ticks_ms=lambda: self.now_ms, random_fill=cpython.random_fill, Poller=None
        )
        self.meter = app.build(types.SimpleNamespace(**packed), storage, port, 1, 13910000)
        self.server = self.meter.server
        make.make_links([["wrapper-tcp", "", 0]], self.meter, port)
        self.talk = Talk(self, self.server.channel(), 1, 1)
        self.talk.channel.gate = self.server.guard.gates[0]

    def wait(self, seconds):
        for _ in range(seconds):
            self.now_ms += 1000
            self.meter.tick(self.now_ms)
            while self.meter.program.work is not None:
                self.meter.tick(self.now_ms)

    def value(self, name):
        model = self.meter.model
        return model.get_int(model.find_any(b"\0\1" + obis(name), 0), 2)

    def cut(self):
        """Power fails."""
        self.meter.storage.close()


def test_the_whole_meter_counts_notes_saves_and_goes_on_after_a_power_failure(tmp_path):
    whole = Whole(tmp_path)
    for n in range(1, 5):
        assert REFUSED in whole.talk.open(WRONG)
        assert whole.value(COUNTER) == n
    assert LATER in whole.talk.open(RIGHT)
    whole.wait(1)
    assert whole.value(EVENT) == 46
    # The port closes with the sixth.
    assert REFUSED in whole.talk.open(WRONG)
    whole.wait(2)
    assert REFUSED in whole.talk.open(WRONG)
    assert whole.talk.open(RIGHT) == ""
    whole.wait(1)
    whole.cut()
    # A second later everything is at rest.
    again = Whole(tmp_path)
    assert again.value(COUNTER) == 6
    assert again.talk.open(RIGHT) == ""
    again.wait(598)
    assert again.talk.open(RIGHT) == ""
    again.wait(2)
    assert ACCEPTED in again.talk.open(RIGHT)
    again.wait(1)
    again.cut()
    last = Whole(tmp_path)
    for _ in range(3):
        assert REFUSED in last.talk.open(WRONG)
    assert ACCEPTED in last.talk.open(RIGHT)
    last.cut()


# --- On MicroPython -------------------------------------------------------------------------


def test_under_a_locked_heap(micropython, tmp_path):
    """The whole of it, delays and ports, where nothing may be allocated."""
    packed = tables.compile(str(HERE / "definitions/small.toml"))
    (tmp_path / "definition.py").write_text(show.module(packed))
    done = subprocess.run(
        [micropython, str(HERE / "device/guarded.py"), str(tmp_path)],
        capture_output=True, text=True, timeout=60,
        env={"MICROPYPATH": ":".join(str(HERE.parent / p) for p in ("lib", ".")) + ":.frozen"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    lines = done.stdout.split()
    free, wait = "permanent", "transient"
    assert lines[:6] == [free] * 4 + [wait, "accepted"]
    # Then the port closes, with the sixth failure; and opens after 10 s.
    assert lines[6:] == [free] * 6 + ["silence", "silence", "accepted"]
