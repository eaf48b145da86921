# SPDX-License-Identifier: MIT
"""S-FSK PLC (IEC 62056-6-2, 4.10): Phy&MAC setup (class_id 50), Active initiator (51), MAC
synchronization timeouts (52), MAC counters (53), IEC 61334-4-32 LLC setup (55), Reporting system
list (56).

What clients set is stored, and the firmware is told by model.on_setup(row) to hand it to the
modem and the profile. What happens on the line is computed from the station of the profile
(lib/profiles/sfsk.py), which the firmware puts into model.plc under "sfsk"; without one the meter
is NEW, not synchronized, and has counted nothing.

Project-defined: at most five group addresses, as modems have; counters of 30 bits. Uncertain: the
L_SAP_selector of the active initiator (01, its management); reply_status_list has what waits to be
sent unasked, by the L-SAP that sends it; after reset_NEW_not_synchronized with address 0 any
initiator is heard, else this one alone.

Nothing is allocated.
"""

from cosem import station_setup
from dlms.axdr import get_u16, put_u16, put_u32
from dlms.prim import copy
from micropython import const

_PHY_MAC_SETUP = const(50)
_ACTIVE_INITIATOR = const(51)
_MAC_COUNTERS = const(53)
_LLC_SETUP = const(55)

# Phy&MAC setup
_DELTA_ELECTRICAL_PHASE = const(3)
_MAC_ADDRESS = const(8)
_REPEATER_STATUS = const(11)
_MIN_DELTA_CREDIT = const(12)
_INITIATOR_MAC_ADDRESS = const(13)
_TRANSMISSION_SPEED = const(15)

# MAC counters
_SYNCHRONIZATION_REGISTER = const(2)
_DESYNCHRONIZATION_LISTING = const(3)
_BROADCAST_FRAMES_COUNTER = const(4)
_REPETITIONS_COUNTER = const(5)
_TRANSMISSIONS_COUNTER = const(6)
_CRC_OK_FRAMES_COUNTER = const(7)

_ARRAY = const(0x01)
_STRUCTURE = const(0x02)
_BOOLEAN = const(0x03)
_DOUBLE_LONG_UNSIGNED = const(0x06)
_OCTET_STRING = const(0x09)
_UNSIGNED = const(0x11)
_LONG_UNSIGNED = const(0x12)
_ENUM = const(0x16)

_SUCCESS = const(0)
_OBJECT_UNDEFINED = const(4)
_OTHER_REASON = const(250)

_NEW = const(0xFFE)
_LAST_INITIATOR = const(0xDFF)
_LAST_GROUP = const(0xFFB)
_MAX_GROUPS = const(5)
_LAST_SPEED = const(5)
_MANAGEMENT = const(1)


class Handler(station_setup.Handler):
    profile = "sfsk"

    def check(self, row, attribute, buf, pos, end):
        # Of Phy&MAC setup: transmission_speed, mac_group_addresses.
        if attribute == _TRANSMISSION_SPEED:
            good = buf[pos + 1] <= _LAST_SPEED
        else:
            good = buf[pos + 1] <= _MAX_GROUPS
            at = pos + 2
            while good and at < end:
                address = get_u16(buf, at + 1)
                good = _LAST_INITIATOR < address and address <= _LAST_GROUP
                at += 3
        return _SUCCESS if good else _OTHER_REASON

    def item(self, s, buf, pos):
        class_id = self.model.class_id(s.row)
        station = self.station()
        if class_id == _PHY_MAC_SETUP:
            return _phy_mac(station, s.attribute, buf, pos)
        if class_id == _ACTIVE_INITIATOR:
            return _active_initiator(station, buf, pos)
        if class_id == _MAC_COUNTERS:
            return _counters(station, s.attribute, buf, pos)
        if class_id == _LLC_SETUP:
            return _reply_status(station, buf, pos)
        return _reporting(station, buf, pos)

    def invoke(self, s, method, buf, pos, end):
        class_id = self.model.class_id(s.row)
        station = self.station()
        if method != 1 or class_id != _ACTIVE_INITIATOR and class_id != _MAC_COUNTERS:
            return _OBJECT_UNDEFINED
        if station is None:
            return _OTHER_REASON
        if class_id == _MAC_COUNTERS:
            station.mac.reset()
            return _SUCCESS
        return _SUCCESS if station.unregister(get_u16(buf, pos + 1)) else _OTHER_REASON


def _phy_mac(station, attribute, buf, pos):
    value = 0
    if attribute == _MAC_ADDRESS or attribute == _INITIATOR_MAC_ADDRESS:
        if station is None:
            value = _NEW if attribute == _MAC_ADDRESS else 0
        elif attribute == _MAC_ADDRESS:
            value = station.ciase.address
        else:
            value = station.ciase.initiator
        buf[pos] = _LONG_UNSIGNED
        return put_u16(buf, pos + 1, value)
    if attribute == _DELTA_ELECTRICAL_PHASE:
        buf[pos] = _ENUM
        value = 0 if station is None else station.modem.delta_phase
    elif attribute == _MIN_DELTA_CREDIT:
        buf[pos] = _UNSIGNED
        value = 0 if station is None else station.modem.min_delta_credit
    else:
        buf[pos] = _BOOLEAN
        if station is not None:
            if attribute == _REPEATER_STATUS:
                value = 1 if station.modem.is_repeater else 0
            else:
                value = 1 if station.is_locked() else 0
    buf[pos + 1] = value
    return pos + 2


def _active_initiator(station, buf, pos):
    there = station is not None and station.ciase.initiator
    n = station.ciase.title_len if there else 0
    buf[pos] = _STRUCTURE
    buf[pos + 1] = 3
    buf[pos + 2] = _OCTET_STRING
    buf[pos + 3] = n
    pos += 4
    if there:
        copy(buf, pos, station.ciase.initiator_title, 0, n)
        pos += n
    buf[pos] = _LONG_UNSIGNED
    pos = put_u16(buf, pos + 1, station.ciase.initiator if there else 0)
    buf[pos] = _UNSIGNED
    buf[pos + 1] = _MANAGEMENT if there else 0
    return pos + 2


def _counters(station, attribute, buf, pos):
    if attribute == _SYNCHRONIZATION_REGISTER:
        return _sources(None if station is None else station.mac.synchronizations, buf, pos)
    if attribute == _BROADCAST_FRAMES_COUNTER:
        return _sources(None if station is None else station.mac.broadcasts, buf, pos)
    if attribute == _DESYNCHRONIZATION_LISTING:
        buf[pos] = _STRUCTURE
        buf[pos + 1] = 5
        pos += 2
        for k in range(5):
            pos = _count(buf, pos, 0 if station is None else station.mac.listing[k])
        return pos
    n = 0
    if station is not None:
        modem = station.modem
        if attribute == _REPETITIONS_COUNTER:
            n = modem.n_repeated
        elif attribute == _TRANSMISSIONS_COUNTER:
            n = modem.n_sent
        elif attribute == _CRC_OK_FRAMES_COUNTER:
            n = modem.n_ok
        else:
            n = modem.n_bad
    return _count(buf, pos, n)


def _count(buf, pos, n):
    buf[pos] = _DOUBLE_LONG_UNSIGNED
    return put_u32(buf, pos + 1, n)


def _sources(rows, buf, pos):
    """An array of MAC addresses with a counter each; rows: address, counter, ...; 0: no more."""
    buf[pos] = _ARRAY
    count_at = pos + 1
    pos += 2
    n = 0
    while rows is not None and 2 * n < len(rows) and rows[2 * n]:
        buf[pos] = _STRUCTURE
        buf[pos + 1] = 2
        buf[pos + 2] = _LONG_UNSIGNED
        pos = _count(buf, put_u16(buf, pos + 3, rows[2 * n]), rows[2 * n + 1])
        n += 1
    buf[count_at] = n
    return pos


def _reply_status(station, buf, pos):
    waiting = 0 if station is None else station.llc.waiting()
    buf[pos] = _ARRAY
    buf[pos + 1] = 0
    if not waiting:
        return pos + 2
    buf[pos + 1] = 1
    buf[pos + 2] = _STRUCTURE
    buf[pos + 3] = 2
    buf[pos + 4] = _UNSIGNED
    buf[pos + 5] = station.llc.note_sap & 0xFF
    buf[pos + 6] = _UNSIGNED
    buf[pos + 7] = min(waiting, 0xFF)
    return pos + 8


def _reporting(station, buf, pos):
    n = 0 if station is None else station.ciase.n_reporting
    buf[pos] = _ARRAY
    buf[pos + 1] = n
    pos += 2
    for k in range(n):
        size = station.ciase.title_len
        buf[pos] = _OCTET_STRING
        buf[pos + 1] = size
        copy(buf, pos + 2, station.ciase.reporting, k * size, size)
        pos += 2 + size
    return pos
