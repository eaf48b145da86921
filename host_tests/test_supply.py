# SPDX-License-Identifier: MIT
"""cosem/supply.py: the supply ends with the credit and comes back with it."""

import pytest
from payment import BESIDE, CREDIT_MODE, DISCONNECTOR, PREPAYMENT, Talk, account, charge, credit

DISCONNECTED, CONNECTED, READY = range(3)
REMOTE_DISCONNECT, REMOTE_RECONNECT = 1, 2

# What becomes of the supply, by control_mode: out of credit; with credit again; and then by the
# button. Mode 0 is never disconnected; 5 and 6 connect by themselves.
BY_MODE = {
    0: (CONNECTED, CONNECTED, CONNECTED),
    1: (READY, READY, CONNECTED),
    2: (READY, READY, CONNECTED),
    3: (READY, READY, CONNECTED),
    4: (READY, READY, CONNECTED),
    5: (READY, CONNECTED, CONNECTED),
    6: (READY, CONNECTED, CONNECTED),
}


def one(mode=PREPAYMENT, control_mode=5, beside=BESIDE):
    beside = beside.replace("control_mode = 5", "control_mode = %d" % control_mode)
    return Talk(credit(0, current_credit_amount=10), charge(0), account(1, 1, mode), beside=beside)


def state(m):
    return m.number(m.row(70, DISCONNECTOR), 3)


def pay(m, amount):
    assert m.accounting.pay(amount)
    m.run(1)


def press(m):
    m.model.handler("disconnect_control").manual_reconnect(m.row(70, DISCONNECTOR))


@pytest.mark.parametrize("control_mode", BY_MODE)
def test_control_modes(control_mode):
    m = one(control_mode=control_mode)
    out, again, pressed = BY_MODE[control_mode]
    assert state(m) == CONNECTED
    m.consume(9)
    assert state(m) == CONNECTED
    m.consume(1)
    assert state(m) == out
    pay(m, 100)
    assert state(m) == again
    press(m)
    m.run(1)
    assert state(m) == pressed


def test_in_credit_mode_nothing_is_disconnected():
    m = one(CREDIT_MODE)
    m.consume(500)
    assert (state(m), m.amount()) == (CONNECTED, -490)


def test_the_button_does_not_help_without_credit():
    m = one()
    m.consume(10)
    press(m)
    assert state(m) == CONNECTED
    m.run(1)
    assert state(m) == READY


def test_it_stays_disconnected_over_a_restart_and_comes_back():
    m = one()
    m.consume(10)
    again = m.restart()
    assert state(again) == READY
    pay(again, 100)
    assert state(again) == CONNECTED


def test_what_others_have_disconnected_stays_so():
    m = one()
    assert m.act(m.row(70, DISCONNECTOR), REMOTE_DISCONNECT) == 0
    m.run(1)
    assert state(m) == DISCONNECTED
    pay(m, 100)
    m.run(60)
    assert state(m) == DISCONNECTED


def test_an_account_that_is_closed_leaves_the_supply_as_it_is():
    m = one()
    m.consume(10)
    assert m.act(m.account, 2) == 0
    m.run(60)
    assert state(m) == READY
    # The next customer's account connects what this one has disconnected.
    assert m.act(m.account, 3) == 0
    assert m.act(m.account, 1) == 0
    m.put(0, 100)
    assert state(m) == CONNECTED


def test_a_meter_without_a_disconnector():
    m = one(beside="\n".join(line for line in BESIDE.splitlines() if "control_" not in line))
    m.consume(20)
    assert m.bits() == {"out_of_credit"}


# --- By scripts ------------------------------------------------------------------------------

COUNT = "0.0.96.1.9.255"
SCRIPTED = (
    BESIDE
    + """
    {class = 1, obis = "0.0.96.1.9.255", data_type = "unsigned", value = 0, ram = ["value"]},
    {class = 9, obis = "0.0.10.0.106.255", capacity = {scripts = "128 octets"}, scripts = [
      [1, [[1, 1, "0.0.96.1.9.255", 2, {type = "unsigned", value = 1}],
           [2, 70, "0.0.96.3.10.255", 1, {type = "integer", value = 0}]]],
      [2, [[1, 1, "0.0.96.1.9.255", 2, {type = "unsigned", value = 2}],
           [2, 70, "0.0.96.3.10.255", 2, {type = "integer", value = 0}]]]]},
"""
)


def said(m):
    """What the scripts have written since the last look."""
    row = m.row(1, COUNT)
    n = m.number(row, 2)
    m.model.put_int(row, 2, 0)
    return n


def test_scripts_disconnect_and_connect():
    m = one(control_mode=5, beside=SCRIPTED)
    m.consume(9)
    assert said(m) == 0
    m.consume(1)
    assert (said(m), state(m)) == (1, READY)  # a local cause
    m.run(300)
    assert said(m) == 0
    pay(m, 50)
    assert (said(m), state(m)) == (2, CONNECTED)
    m.run(300)
    assert said(m) == 0


def test_where_it_does_not_connect_by_itself_somebody_presses_the_button():
    m = one(control_mode=2, beside=SCRIPTED)
    m.consume(10)
    assert (said(m), state(m)) == (1, READY)
    pay(m, 50)
    assert (said(m), state(m)) == (2, READY)
    m.run(300)
    assert (said(m), state(m)) == (0, READY)  # it is not asked again
    press(m)
    m.run(1)
    assert (said(m), state(m)) == (0, CONNECTED)


def test_a_script_that_is_of_no_use_is_tried_each_minute():
    m = one(control_mode=0, beside=SCRIPTED)  # what is never disconnected: the script fails
    m.consume(10)
    assert (said(m), state(m)) == (1, CONNECTED)
    m.run(57)
    assert (m.local(), said(m)) == ("2026-06-01 12:00:59", 0)
    m.run(1)
    assert said(m) == 1
    m.run(59)
    assert said(m) == 0
    pay(m, 50)
    m.run(100)
    assert (said(m), state(m)) == (0, CONNECTED)


def test_a_supply_that_came_back_by_itself_is_disconnected_again():
    m = one(control_mode=5, beside=SCRIPTED)
    m.consume(10)
    press(m)
    assert (said(m), state(m)) == (1, CONNECTED)
    m.run(60)
    assert (said(m), state(m)) == (1, READY)


CONTROL = '[2, 70, "0.0.96.3.10.255", %d, {type = "integer", value = 0}]'
REQUEST = (
    '[2, 68, "0.0.96.3.20.255", 1, {type = "structure{unsigned,bit-string}", value = [1, "%s"]}]'
)
ARBITRATED = (
    SCRIPTED.replace(CONTROL % 1, REQUEST % "10").replace(CONTROL % 2, REQUEST % "01")
    + """
    {class = 9, obis = "0.0.10.0.99.255", scripts = [
      [1, [[2, 70, "0.0.96.3.10.255", 1, {type = "integer", value = 0}]]],
      [2, [[2, 70, "0.0.96.3.10.255", 2, {type = "integer", value = 0}]]]]},
    {class = 68, obis = "0.0.96.3.20.255",
     actions = [["0.0.10.0.99.255", 1], ["0.0.10.0.99.255", 2]],
     permissions_table = ["11", "11"], weightings_table = [[5, 5], [0, 9]],
     capacity = {most_recent_requests_table = "24 octets"}},
"""
)


def test_an_arbitrator_has_the_last_word():
    """Actor 1 is the account, 2 somebody whose wish for supply weighs more."""
    m = one(control_mode=5, beside=ARBITRATED)
    m.consume(10)
    assert state(m) == READY
    pay(m, 50)
    assert state(m) == CONNECTED
    arbitrator = m.row(68, "0.0.96.3.20.255")
    wish = b"\x02\x02\x11\x02\x04\x02\x40"
    assert m.act(arbitrator, 1, wish) == 0
    m.consume(60)
    assert (m.bits(), state(m)) == ({"out_of_credit"}, CONNECTED)
    m.run(120)
    assert state(m) == CONNECTED
    # When that is taken back the account's own weighs more; the client who did it is remote.
    assert m.act(arbitrator, 1, wish[:-1] + b"\x00") == 0
    assert state(m) == DISCONNECTED
