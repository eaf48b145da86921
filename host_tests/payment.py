# SPDX-License-Identifier: MIT
"""An account with credits, charges and a token gateway, for tests of payment: lines of a
definition, and a meter that is asked in amounts."""

import struct

from fakes import CLOCK, Meter, array, i8, i16, i32, obis, octets, struct_, u8, u16

ACCOUNT, GATEWAY = "0.0.19.0.0.255", "0.0.19.40.0.255"
ENERGY, OTHER = "1.0.1.8.0.255", "1.0.2.8.0.255"
CREDIT, CHARGE = "0.0.19.10.%d.255", "0.0.19.20.%d.255"
DISCONNECTOR = "0.0.96.3.10.255"

ENABLED, SELECTABLE, SELECTED, IN_USE, EXHAUSTED = range(5)
TOKEN, RESERVED, EMERGENCY, TIME_BASED, CONSUMPTION_BASED = range(5)
CONSUMPTION, TIME, PAYMENT = range(3)
CREDIT_MODE, PREPAYMENT = 1, 2
NEW, ACTIVE, CLOSED = 1, 2, 3
OBJECT_UNDEFINED, TEMPORARY_FAILURE, OBJECT_UNAVAILABLE = 4, 2, 11
TYPE_UNMATCHED, OTHER_REASON = 12, 250

LEAST, MOST = -(1 << 31), (1 << 31) - 1
UNSPECIFIED = b"\xff" * 9 + b"\x80\x00\xff"

# Its scales make a price of 1 an amount of 1: for each Wh, period or payment.
PLAIN = '[[0, -2], [3, "%s", 2], [%s]]' % (ENERGY, "%s")
CAPACITY = 'capacity = {unit_charge_active = "120 octets", unit_charge_passive = "120 octets"}'


def credit(k, **values):
    """A line: credit k, a token credit unless `values` say something else."""
    values = {"priority": k + 1, "credit_configuration": "00001", "period": "*"} | values
    return "{class = 112, obis = %r, %s}," % (CREDIT % k, line(values))


def emergency(k, **values):
    """Emergency credit: to be confirmed and paid back, 500 when 100 are left."""
    return credit(k, **{
        "credit_type": EMERGENCY, "credit_configuration": "01100", "preset_credit_amount": 500,
        "credit_available_threshold": 100, **values,
    })  # fmt: skip


def charge(k, price=1, **values):
    """A line: charge k, of consumption and continuous unless `values` say something else."""
    table = price if isinstance(price, str) else '["", %d]' % price
    values = {
        "priority": k + 1, "charge_configuration": "01", "unit_charge_activation_time": "*",
        "last_collection_time": "*", **values,
    }  # fmt: skip
    unit_charge = values.pop("unit_charge", PLAIN % table)
    values["unit_charge_active"] = values["unit_charge_passive"] = Raw(unit_charge)
    return "{class = 113, obis = %r, %s, %s}," % (CHARGE % k, line(values), CAPACITY)


def account(n_credits, n_charges, mode=PREPAYMENT, status=ACTIVE, **values):
    values = {
        "account_mode_and_status": [mode, status], "currency": ["EUR", -2, 2],
        "account_activation_time": "*", "account_closure_time": "*",
        "credit_reference_list": [CREDIT % k for k in range(n_credits)],
        "charge_reference_list": [CHARGE % k for k in range(n_charges)], **values,
    }  # fmt: skip
    room = (
        "credit_reference_list = 4, charge_reference_list = 4, token_gateway_configuration = 4, "
    )
    room += 'credit_charge_configuration = 6, currency = "12 octets"'
    return "{class = 111, obis = %r, %s, capacity = {%s}}," % (ACCOUNT, line(values), room)


def line(values):
    return ", ".join("%s = %s" % (name, text(value)) for name, value in values.items())


class Raw(str):
    """A text that is TOML already."""


def text(value):
    if isinstance(value, Raw):
        return value
    return '"%s"' % value if isinstance(value, str) else str(value).replace("'", '"')


BESIDE = """
    {class = 3, obis = "1.0.1.8.0.255", data_type = "double-long-unsigned", value = 0,
     unit = "Wh"},
    {class = 3, obis = "1.0.2.8.0.255", data_type = "long", value = 0, scaler = 1, unit = "Wh"},
    {class = 70, obis = "0.0.96.3.10.255", output_state = true, control_state = 1,
     control_mode = 5, ram = ["output_state", "control_state"]},
    {class = 115, obis = "0.0.19.40.0.255", token_time = "*",
     capacity = {token = 20, token_description = "20 octets"}},
"""


def objects(*lines, beside=BESIDE):
    return CLOCK + beside + "\n".join("    " + one for one in lines) + "\n"


# --- A-XDR -----------------------------------------------------------------------------------


def names(pattern, *numbers):
    """A reference list."""
    return array(*(octets(obis(pattern % k)) for k in numbers))


def entry(index, price):
    return struct_(octets(index), i16(price))


def unit_charge(*entries, commodity_scale=0, price_scale=-2, commodity=(3, ENERGY, 2)):
    class_id, name, index = commodity
    return struct_(
        struct_(i8(commodity_scale), i8(price_scale)),
        struct_(u16(class_id), octets(obis(name)), i8(index)),
        array(*entries),
    )


def pair(k, j, bits):
    """An element of credit_charge_configuration: credit k, charge j, bits as text."""
    value = int(bits + "00000", 2)
    return struct_(octets(obis(CREDIT % k)), octets(obis(CHARGE % j)), bytes((4, 3, value)))


def proportion(k, percent):
    return struct_(octets(obis(CREDIT % k)), u8(percent))


# --- The meter -------------------------------------------------------------------------------


class Talk(Meter):
    """A meter that has lived for a second, so that its account knows where it stands."""

    def __init__(self, *lines, beside=BESIDE, again=None, start="2026-06-01 12:00:00"):
        if again is None:
            super().__init__(objects(*lines, beside=beside))
            self.set_local(start)
        else:
            super().__init__(again.definition, storage=again.storage, image=again.model.image)
            self.clock.set_utc(again.clock.minute, again.clock.second)
        self.account = self.row(111, ACCOUNT)
        self.energy = self.row(3, ENERGY)
        self.handler = self.model.handler("account")
        self.accounting = self.handler.accounts[0]
        self.run(1)

    def restart(self):
        return Talk(again=self)

    def credit(self, k=0):
        return self.row(112, CREDIT % k)

    def charge(self, k=0):
        return self.row(113, CHARGE % k)

    def number(self, row, attribute):
        return self.model.get_int(row, attribute)

    def amount(self, k=0):
        return self.number(self.credit(k), 2)

    def amounts(self):
        n = len(self.read(self.account, 9))
        return [self.amount(k) for k in range(n)]

    def status(self, k=0):
        return self.number(self.credit(k), 8)

    def paid(self, k=0):
        return self.number(self.charge(k), 2)

    def put(self, k, amount):
        """The amount of credit k becomes this, and a second passes."""
        assert self.act(self.credit(k), 2, i32(amount)) == 0
        self.run(1)

    def consume(self, wh, seconds=1):
        """So much energy is consumed, and seconds pass."""
        n = self.number(self.energy, 2)
        at = self.model.slot(self.energy, 2) + 1
        self.model.image[at : at + 4] = struct.pack(">I", (n + wh) % (1 << 32))
        self.run(seconds)

    def bits(self):
        """current_credit_status: names of the bits that are set."""
        at = self.model.slot(self.account, 4) + 2
        words = "in_credit low_credit next_enabled next_selectable next_selected "
        words += "selectable_in_use out_of_credit reserved"
        return {w for k, w in enumerate(words.split()) if self.model.image[at] & 0x80 >> k}

    def connected(self):
        return self.number(self.row(70, DISCONNECTOR), 2) == 1

    def enter(self, token):
        return self.act(self.row(115, GATEWAY), 1, octets(token))

    def token_status(self):
        at = self.model.slot(self.row(115, GATEWAY), 6)
        assert self.model.image[at + 4 : at + 6] == b"\x04\x00"
        return self.model.image[at + 3]
