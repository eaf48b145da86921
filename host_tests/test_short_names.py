# SPDX-License-Identifier: MIT
"""What serves short names comes when a client asks by one, and goes again: it is a part of the
server (Server.part()), and so is Write, and what runs methods.
"""

import pytest
from short import OPEN, SHORT_NAMES, ShortClient, ShortMeter

PART, WRITE, ACTION = "dlms.short_names", "dlms.write", "dlms.action"
OWN = 'class = "Association SN"\ndevice = "%s"\n%saccess = "%s"'


@pytest.fixture(scope="module")
def apart(tmp_path_factory):
    """The definition with clients of logical names that do not see Association SN."""
    text = SHORT_NAMES.read_text()
    for old, new in (
        (OWN % ("one", "", "all"), OWN % ("one", "", "short")),
        (OWN % ("two", "", "all"), OWN % ("two", "", "short")),
        (OWN % ("three", "version = 0\n", "all"), OWN % ("three", "version = 0\n", "short")),
        ("[access]\n", '[access]\nshort = {public = "r", management = "r w x"}\n'),
        ('all = {public = "r", ', 'all = {public = "r", logical = "r w x", '),
        ('security = {public = "r:1-3", ', 'security = {public = "r:1-3", logical = "r", '),
    ):
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    for note in ("logical names", "logical names, GMAC"):
        head, tail = text.split('note = "%s"\n' % note)
        text = head + tail.replace('role = "management"', 'role = "logical"', 1)
    path = tmp_path_factory.mktemp("apart") / "apart.toml"
    path.write_text(text)
    return path


def is_there(meter, part=PART):
    return part in meter.server.parts


def test_it_comes_with_the_first_question_and_goes_with_the_last_client(apart):
    meter = ShortMeter(path=apart)
    one = meter.talk(client=2)
    other = meter.talk(client=4)
    for _ in range(2):
        assert one.open_short() == OPEN % "1C1B20"
        assert not is_there(meter), "an AARQ needs none of it"
        assert one.say("0501 02 2A48") == "0C01001107"
        assert is_there(meter) and not is_there(meter, WRITE) and not is_there(meter, ACTION)
        assert one.say("0601 02 2A48 01 1107") == "0D0100"
        assert is_there(meter, WRITE) and not is_there(meter, ACTION)
        other.open_short()
        meter.server.forget()
        one.say("6200")
        meter.server.forget()
        assert is_there(meter)
        other.channel.release()
        meter.server.forget()
        assert not meter.server.parts


@pytest.mark.parametrize("request_", ["0501 04 0128 00 0F00", "0601 02 0128 01 0F00"])
def test_what_runs_methods_comes_before_any_is_run(apart, request_):
    meter = ShortMeter(path=apart)
    t = meter.short()
    assert t.say("0602 02 2A48 02 0128 02 1109 0F00") == "0D020000"
    edits = meter.model.edits
    meter.server.forget(True)
    assert t.say(request_)[2:6] == "0100" and is_there(meter, ACTION)
    assert meter.model.edits == edits + 1
    meter.server.forget(True)
    assert t.say("0602 02 2A48 02 0128 02 1108 0F00") == "0D020000"
    assert meter.model.edits == edits + 3


def test_clients_with_logical_names_do_without(apart):
    meter = ShortMeter(path=apart)
    t = meter.talk(client=1)
    assert t.open(conformance="00FE1F").endswith("0007")
    assert t.say("C00141 0001 0000603201FF 02 00") == "C40141001107"
    assert t.say("C00141 000C 0000280000FF 02 00") == "C401410104"
    # Association LN has that name, too.
    assert t.say("C00141 0003 0000280000FF 02 00") == "C401410109"
    assert t.say("C00141 000C 0000280002FF 02 00") == "C401410104"
    assert t.say("0501 02 2A48") == "D80102"
    assert not is_there(meter)


def test_who_may_see_association_sn_by_logical_names_keeps_its_class(apart, tmp_path):
    """Else it is woken for clients with short names alone."""
    meter = ShortMeter()
    t = meter.talk(client=1)
    t.open(conformance="00FE1F")
    assert t.say("C00141 000C 0000280006FF 02 00").startswith("C402410000000001008201100112")
    for path, wakes in ((SHORT_NAMES, True), (apart, False)):
        text = path.read_text().replace(', user_list = [[5, "reader"], [7, "fitter"]]', "")
        (tmp_path / path.name).write_text(text)
        meter = ShortMeter(path=tmp_path / path.name)
        model = meter.model
        meter.server.forget()
        assert model.asleep and model.handler("association_sn") is None
        model.wake()
        assert (model.handler("association_sn") is not None) == wakes
        # What is no request, a script or a capture, has it anyhow.
        meter.server.forget()
        row = model.find(0, bytes.fromhex("000C0000280002FF"), 0)
        assert model.read(row, 2, bytearray(2000), 0, 1500) > 300


def test_who_has_users_does_not_sleep(apart):
    meter = ShortMeter(path=apart)
    t = meter.talk(client=3)
    for user, result in ((6, 1), (7, 0)):
        meter.server.forget()
        assert t.open_short(user=user)[26:36] == "A20302010%d" % result


def test_each_time_anew(apart):
    """Every kind of request finds it gone: with blocks, without an answer, before pass 3."""
    meter = ShortMeter(path=apart)
    t = meter.short()

    def say(request):
        meter.server.forget(True)
        assert not is_there(meter)
        return t.say(request)

    assert say("0601 02 2A48 01 1163") == "0D0100"
    assert say("1601 02 2A48 01 1164") == ""
    assert say("0502 02 2A48 02 0168") == "0C020011640103"
    assert say("0501 04 FA30 00 0101 0203 120003 0906 0100010800FF 0F02") == (
        "0C010001010600001391"
    )
    assert say("0501 06 01 0001 04 0102FA00") == "0C010009060000280000FF"
    assert say("FF") == "D80202"
    assert say("05") == "0E050300"
    meter.server.forget(True)
    c = ShortClient(meter, 40).open()
    meter.server.forget(True)
    assert c.ask("0501020118") == "0C010009020102"
    assert say("6200") == "6303800100"


def test_a_place_that_was_with_short_names_serves_logical_ones(apart):
    meter = ShortMeter(path=apart)
    channel = meter.server.channel()
    for _ in range(2):
        sn = meter.short(channel=channel)
        assert sn.say("0503 02 2A48 02 2A48 02 FA00").startswith("0C03")
        sn.say("6200")
        meter.server.forget()
        ln = meter.talk(client=1, channel=channel)
        ln.open(conformance="00FE1F")
        assert ln.say("C00341 02 0001 0000603201FF 02 00 0001 0000603201FF 02 00") == (
            "C40341020011070011 07".replace(" ", "")
        )
        ln.say("6200")


def test_a_broadcast_waits_for_it(apart, tmp_path):
    old = 'client_sap = 16\nobject = "0.0.40.0.3"\n'
    text = apart.read_text().replace(old, old + "pre_established = true\n")
    text = text.replace('conformance = ["read"]', 'conformance = ["unconfirmed-write", "read"]')
    path = tmp_path / "apart.toml"
    path.write_text(text.replace('all = {public = "r"', 'all = {public = "r w"'))
    meter = ShortMeter(path=path)
    t = meter.talk(client=16)
    assert t.say("1601 02 2A48 01 1108", confirmed=4) == ""
    assert t.say("0501 02 2A48") == "0C01001108"


@pytest.mark.parametrize(
    "request_, answer, all_",
    [
        ("0501 02 2A48", "0C01001107", False),
        ("0501 02 FA00", "0C010009060000280000FF", False),
        ("0501 02 0218", "0C01000906000000000000", False),
        ("0501 02 FFF0", "0C010104", False),
        ("0501 04 FA08 01 0101 120003", "0C01000101020410010012000311000906", False),
        ("0502 02 2A48 04 FA08 01 0100", "0C0200110700" + "0100", True),
        ("0601 02 2A48 01 1108", "0D0100", False),
        ("0602 02 2A48 02 0138 02 1108 120001", "0D020000", True),
        ("0501 04 0128 00 0F00", "0C010000", True),
        ("0601 02 0128 01 0F00", "0D0100", True),
        ("0501 04 FA30 00 0101 0203 120003 0906 0100010800FF 0F02", "0C0100010106", True),
        ("0601 02 FA40 01 0903 6E6577", "0D0100", True),
    ],
)
def test_classes_are_woken_as_they_are_needed(apart, request_, answer, all_):
    meter = ShortMeter(path=apart)
    meter.server.forget()
    assert meter.model.asleep
    t = meter.short()
    assert t.say(request_).startswith(answer)
    assert meter.model.asleep != all_
