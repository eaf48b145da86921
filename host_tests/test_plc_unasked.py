# SPDX-License-Identifier: MIT
"""What goes unasked over each power line: a push by script, and an EventNotification to the client
that has the association; the meter as it starts, behind the double of each modem
(test_plc_counts.py). What is longer than a frame: test_gbt_unasked.py, test_lon.py.
"""

import pytest
from doubles.meters import action
from test_plc_counts import G3, LON, PRIME, SFSK, ST7580, asked  # noqa: F401  a fixture

PUSH = action(40, "0.1.25.9.0", 1)
REGISTER = b"\x06\x00\x01\xe2\x40"
DATA_NOTIFICATION, EVENT_NOTIFICATION = 0x0F, 0xC2
IN_FRAMES = b"\xe6\xe7\x00"  # LLC of HDLC
ALL = pytest.mark.parametrize("of", [SFSK, PRIME, G3, LON, ST7580], ids=lambda x: x.profile)


def payload(here, sent):
    """The APDU in what a modem was given."""
    if not isinstance(here, ST7580):
        return here.apdu(sent)
    at = sent.find(IN_FRAMES)
    return sent[at + 3 : -3] if at >= 0 else sent  # FCS, flag


def unasked(here, tag):
    found = [payload(here, sent) for sent in here.double.sent]
    return [apdu for apdu in found if apdu[:1] == bytes((tag,))]


@ALL
def test_a_push(asked, of):  # noqa: F811
    here = asked(of)
    here.say(PUSH)
    here.run(6000)
    found = unasked(here, DATA_NOTIFICATION)
    # On a LON it is repeated three times, for nobody confirms it.
    assert len(found) == (4 if of is LON else 1) and len(set(found)) == 1
    assert found[0].endswith(REGISTER)


@ALL
def test_an_event(asked, of):  # noqa: F811
    here = asked(of)
    model, server = here.meter.model, here.meter.server
    row = model.find_any(bytes.fromhex("00030100010800FF"), 0)
    (a,) = (a for a in server.associations if a.channel is not None and a.state)
    notifier = here.meter.notifier()
    notifier.event(a, row, 2)
    here.run(6000)
    found = unasked(here, EVENT_NOTIFICATION)
    assert len(found) == (4 if of is LON else 1) and len(set(found)) == 1
    assert found[0].endswith(REGISTER) and bytes.fromhex("00030100010800FF02") in found[0]
