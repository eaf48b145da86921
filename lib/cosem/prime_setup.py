# SPDX-License-Identifier: MIT
"""PRIME (IEC 62056-6-2, 4.12): 61334-4-32 LLC SSCS setup (class_id 80), physical layer counters
(81), MAC setup (82), MAC functional parameters (83), MAC counters (84), MAC network administration
data (85), application identification (86).

The values are the modem's (modem_values.py), behind the station of the profile
(lib/profiles/prime.py), which the firmware puts into model.plc under "prime". Attributes of its
PIB have the numbers of PRIME 1.3.6; what a modem of 1.4 does not have stays 0. All that an object
of class 82 can set goes to the modem: a definition has to give all of it.

reset of 80 (project-defined in when it takes place): the modem starts again when the answer has
left. Uncertain: records of the lists (85) are taken to be the fields of the structures, one after
the other. Nothing is allocated.
"""

from cosem import modem_values
from dlms.axdr import put_u16
from micropython import const

_LLC_SETUP = const(80)
_PHY_COUNTERS = const(81)
_MAC_COUNTERS = const(84)
_NETWORK = const(85)
_SERVICE_NODE_ADDRESS = const(2)
_LONG_UNSIGNED = const(0x12)
_NOBODY = const(0xFFFF)

_SUCCESS = const(0)
_OBJECT_UNDEFINED = const(4)
_OTHER_REASON = const(250)

_READS = (
    b"\x51\x02\x00\xa0\x02\x00\x02\x12",  # phy_stats_crc_incorrect_count
    b"\x51\x03\x00\xa1\x02\x00\x02\x12",
    b"\x51\x04\x00\xa2\x02\x00\x02\x12",
    b"\x51\x05\x00\xa3\x02\x00\x02\x12",
    b"\x53\x02\x00\x20\x02\x00\x02\x10",  # mac_LNID
    b"\x53\x03\x00\x21\x01\x00\x01\x11",
    b"\x53\x04\x00\x22\x01\x00\x01\x11",
    b"\x53\x05\x00\x23\x06\x00\x40\x09",
    b"\x53\x06\x00\x24\x01\x00\x01\x16",
    b"\x53\x07\x00\x25\x02\x00\x02\x10",
    b"\x53\x08\x00\x26\x01\x00\x01\x11",
    b"\x53\x09\x00\x27\x01\x00\x01\x11",
    b"\x53\x0a\x00\x28\x01\x00\x01\x11",
    b"\x53\x0b\x00\x29\x01\x00\x01\x11",
    b"\x53\x0c\x00\x2a\x01\x00\x01\x11",
    b"\x53\x0d\x00\x2b\x01\x00\x01\x11",
    b"\x53\x0e\x00\x2c\x02\x00\x02\x12",
    b"\x54\x02\x00\x40\x04\x00\x04\x06",  # mac_tx_data_pkt_count
    b"\x54\x03\x00\x41\x04\x00\x04\x06",
    b"\x54\x04\x00\x42\x04\x00\x04\x06",
    b"\x54\x05\x00\x43\x04\x00\x04\x06",
    b"\x54\x06\x00\x44\x04\x00\x04\x06",
    b"\x54\x07\x00\x45\x04\x00\x04\x06",
    b"\x55\x02\x00\x52\x03\x08\x01\x0f\x02\x10",  # mac_list_multicast_entries
    b"\x55\x03\x00\x53\x02\x08\x02\x10",
    b"\x55\x04\x00\x55\x12\x08\x02\x10\x02\x10\x02\x10\x02\x10\x02\x10\x02\x10\x46\x09",
    b"\x55\x05\x00\x56\x0b\x08\x46\x09\x02\x10\x01\x0f\x01\x0f\x01\x0f",
    b"\x55\x06\x00\x57\x0e\x08\x46\x09\x01\x0f\x01\x0f\x01\x0f\x01\x0f\x01\x0f\x01\x0f\x01\x0f\x01\x0f",
    b"\x56\x02\x00\x75\x20\x00\x40\x09",  # firmware_version
    b"\x56\x03\x00\x76\x02\x00\x02\x12",
    b"\x56\x04\x00\x77\x02\x00\x02\x12",
)

_WRITES = (
    b"\x52\x02\x01\x00\x10\x01",  # mac_min_switch_search_time
    b"\x52\x03\x01\x00\x11\x01",
    b"\x52\x04\x01\x00\x12\x01",
    b"\x52\x05\x01\x00\x13\x01",
    b"\x52\x06\x01\x00\x14\x01",
    b"\x52\x07\x01\x00\x15\x01",
    b"\x52\x08\x01\x00\x18\x01",
)


def values(modem):
    """What reads and writes them, for a station."""
    return modem_values.ModemValues(modem, _READS, _WRITES, True)


class Handler(modem_values.Handler):
    profile = "prime"
    reads = _READS

    def item(self, s, buf, pos):
        if self.model.class_id(s.row) != _LLC_SETUP:
            return modem_values.Handler.item(self, s, buf, pos)
        station = self.station()
        value = _NOBODY
        if station is not None:
            value = station.base_address
            if s.attribute == _SERVICE_NODE_ADDRESS:
                value = station.address
        buf[pos] = _LONG_UNSIGNED
        return put_u16(buf, pos + 1, value)

    def invoke(self, s, method, buf, pos, end):
        class_id = self.model.class_id(s.row)
        if method != 1:
            return _OBJECT_UNDEFINED
        station = self.station()
        if station is None:
            return _OTHER_REASON
        if class_id == _LLC_SETUP:
            station.restart()
        elif class_id == _PHY_COUNTERS or class_id == _MAC_COUNTERS or class_id == _NETWORK:
            station.attributes.reset(class_id)
        else:
            return _OBJECT_UNDEFINED
        return _SUCCESS
