# SPDX-License-Identifier: MIT
"""IEC local port setup (class_id 19): what may be set, in both versions; SETs of a client."""

import pytest
from optical import REQUEST, Line
from small import Talk

SUCCESS, OTHER_REASON, TYPE_UNMATCHED = 0, 250, 12
MANAGEMENT, SET = 1, "C1 01 C1 0013 0000140000FF %02X 00 %s"


@pytest.mark.parametrize(
    "attribute, good, bad",
    [
        (2, ["1600", "1601", "1602"], ["1603", "16FF"]),
        (6, ["0900", "0901" + "30", "0903" + b"aZ ".hex()], ["0901" + "2F", "0901C1", "09017B"]),
        (7, ["0900", "0903" + b"!/*".hex()], ["0901" + "28", "0901" + "29", "090100", "0901FF"]),
        (8, ["0920" + "31" * 32], ["0921" + "31" * 33]),
        (9, ["090139"], ["090180"]),
    ],
)
def test_ranges(attribute, good, bad):
    line = Line()
    for value in good:
        assert line.set(attribute, value) == SUCCESS
    for value in bad:
        assert line.set(attribute, value) == OTHER_REASON
    assert line.set(attribute, "00") == TYPE_UNMATCHED


@pytest.mark.parametrize("attribute, last", [(3, 9), (4, 9), (5, 1)])
def test_numbers(attribute, last):
    line = Line()
    for value in range(last + 1):
        assert line.set(attribute, "16%02X" % value) == SUCCESS
    assert line.set(attribute, "16%02X" % (last + 1)) == TYPE_UNMATCHED


def test_version_0_has_no_port_without_a_protocol(monkeypatch):
    line = Line()
    monkeypatch.setattr(line.meter.model, "version", lambda row: 0)
    assert line.set(2, "1602") == OTHER_REASON
    assert line.set(2, "1601") == SUCCESS


def test_a_client_sets_the_port_it_does_not_use():
    """The firmware is told, and the port is another from the next sign-on."""
    line = Line()
    heard = []
    line.meter.model.on_setup = heard.append
    talk = Talk(line.meter, line.meter.server.channel(), MANAGEMENT, 1)
    talk.open()
    assert talk.say(SET % (4, "16 02")) == "C501C100"
    assert talk.say(SET % (4, "16 0A")) == "C501C10C"
    assert talk.say(SET % (8, "09 02 41 42")) == "C501C100"
    assert heard == line.meter.model.rows(19) * 2
    assert line.ask(REQUEST) == b"/PMT2\\2PICOMETER\r\n"


def test_passwords_cannot_be_read():
    line = Line()
    talk = Talk(line.meter, line.meter.server.channel(), MANAGEMENT, 1)
    talk.open()
    for attribute in (7, 8, 9):
        assert talk.say("C0 01 C1 0013 0000140000FF %02X 00" % attribute) == "C401C10103"
    assert talk.say("C0 01 C1 0013 0000140000FF 06 00") == "C401C1000908" + b"00000042".hex()
