# SPDX-License-Identifier: MIT
"""G3-PLC (IEC 62056-6-2, 4.13): MAC layer counters (class_id 90), MAC setup (91), 6LoWPAN
adaptation layer setup (92).

The values are the modem's (modem_values.py), behind the station of the profile
(lib/profiles/g3.py), which the firmware puts into model.plc under "g3". Attributes have the
numbers of G3's information bases; those of the MAC with 8000 added, see modems/g3_adp.py. All that
an object of class 91 or 92 can set goes to the modem: a definition has to give all of it.

Not the modem's, but what the definition says: mac_key_table (keys are not shown),
mac_neighbour_table and the method that reads it, adp_prefix_table and
adp_context_information_table, whose entries public sources do not lay out. Nothing is allocated.
"""

from cosem import handler, modem_values
from micropython import const

_MAC_COUNTERS = const(90)

_SUCCESS = const(0)
_OBJECT_UNDEFINED = const(4)
_OTHER_REASON = const(250)

_READS = (
    b"\x5a\x02\x81\x01\x04\x00\x04\x06",  # mac_Tx_data_packet_count
    b"\x5a\x03\x81\x02\x04\x00\x04\x06",
    b"\x5a\x04\x81\x03\x04\x00\x04\x06",
    b"\x5a\x05\x81\x04\x04\x00\x04\x06",
    b"\x5a\x06\x81\x05\x04\x00\x04\x06",
    b"\x5a\x07\x81\x06\x04\x00\x04\x06",
    b"\x5a\x08\x81\x09\x04\x00\x04\x06",  # mac_bad_CRC_count
    b"\x5a\x09\x81\x08\x04\x00\x04\x06",
    b"\x5a\x0a\x81\x07\x04\x00\x04\x06",
    b"\x5b\x02\x80\x53\x02\x00\x02\x12",  # mac_short_address
    b"\x5b\x03\x81\x0f\x02\x00\x02\x12",
    b"\x5b\x04\x80\x50\x02\x00\x02\x12",
    b"\x5b\x06\x80\x77\x04\x00\x04\x06",  # mac_frame_counter
    b"\x5b\x19\x81\x20\x05\x08\x02\x12\x01\x11\x02\x11",  # mac_POS_table
    # adp_routing_table
    b"\x5c\x08\x00\x0c\x09\x08\x02\x12\x02\x12\x02\x12\x10\x11\x11\x11\x02\x12",
    b"\x5c\x0a\x00\x1e\x04\x08\x02\x12\x02\x12",  # adp_blacklist_table
    b"\x5c\x0b\x00\x0b\x05\x08\x02\x12\x01\x11\x02\x12",
    b"\x5c\x0c\x00\x0e\x02\x08\x02\x12",  # adp_group_table
    b"\x5c\x15\x00\x23\x02\x08\x02\x12",  # adp_destination_address_set
)

_WRITES = (
    b"\x5b\x07\x02\x81\x10\x00",  # mac_tone_mask
    b"\x5b\x08\x01\x81\x0d\x01",
    b"\x5b\x09\x01\x80\x59\x01",
    b"\x5b\x0a\x01\x81\x0e\x01",
    b"\x5b\x0c\x01\x81\x00\x01",  # mac_high_priority_window_size
    b"\x5b\x0d\x01\x81\x0c\x01",
    b"\x5b\x0e\x01\x81\x11\x01",
    b"\x5b\x0f\x01\x81\x12\x01",
    b"\x5b\x10\x01\x81\x13\x01",
    b"\x5b\x11\x01\x81\x14\x01",
    b"\x5b\x12\x01\x81\x15\x01",
    b"\x5b\x13\x01\x81\x16\x01",
    b"\x5b\x14\x01\x80\x47\x01",  # mac_max_BE
    b"\x5b\x15\x01\x80\x4e\x01",
    b"\x5b\x16\x01\x80\x4f\x01",
    b"\x5b\x17\x01\x81\x1e\x01",
    b"\x5b\x18\x01\x81\x1f\x01",
    b"\x5c\x02\x01\x00\x0f\x01",  # adp_max_hops
    b"\x5c\x03\x01\x00\x1a\x01",
    b"\x5c\x04\x01\x00\x00\x01",
    b"\x5c\x06\x05\x00\x11\x01",  # adp_routing_configuration, the first of the array
    b"\x5c\x06\x07\x00\x12\x02",
    b"\x5c\x06\x0a\x00\x13\x01",
    b"\x5c\x06\x0c\x00\x14\x01",
    b"\x5c\x06\x0e\x00\x15\x01",
    b"\x5c\x06\x10\x00\x16\x01",
    b"\x5c\x06\x12\x00\x17\x01",
    b"\x5c\x06\x14\x00\x1b\x01",
    b"\x5c\x06\x16\x00\x18\x01",
    b"\x5c\x06\x18\x00\x19\x01",
    b"\x5c\x06\x1a\x00\x1f\x02",
    b"\x5c\x06\x1d\x00\x0d\x01",
    b"\x5c\x06\x1f\x00\x09\x01",
    b"\x5c\x06\x21\x00\x0a\x01",
    b"\x5c\x07\x01\x00\x02\x02",  # adp_broadcast_log_table_entry_TTL
    b"\x5c\x0d\x01\x00\x20\x02",
    b"\x5c\x0e\x01\x00\x21\x01",
    b"\x5c\x0f\x01\x00\x22\x01",
    b"\x5c\x10\x01\x00\x03\x01",
    b"\x5c\x11\x01\x00\x08\x02",  # adp_coord_short_address
    b"\x5c\x12\x01\x00\xf0\x01",
    b"\x5c\x13\x01\x00\x10\x01",
    b"\x5c\x14\x01\x00\x24\x01",
)


def values(modem):
    """What reads and writes them, for a station."""
    return modem_values.ModemValues(modem, _READS, _WRITES, False)


class Handler(handler.Handler):
    def sleeps(self):
        return True

    def station(self):
        plc = self.model.plc
        return None if plc is None else plc.get("g3")

    def changed(self, row, attribute):
        station = self.station()
        if station is not None:
            station.attributes.changed(self.model, row, attribute)

    def open(self, s):
        s.n = 1
        return _SUCCESS

    def item(self, s, buf, pos):
        k = modem_values.find(_READS, self.model.class_id(s.row), s.attribute)
        station = self.station()
        if station is None:
            return modem_values.nothing(_READS[k], buf, pos)
        return station.attributes.encode(k, buf, pos)

    def invoke(self, s, method, buf, pos, end):
        if method != 1 or self.model.class_id(s.row) != _MAC_COUNTERS:
            return _OBJECT_UNDEFINED
        station = self.station()
        if station is None:
            return _OTHER_REASON
        station.attributes.reset(_MAC_COUNTERS)
        return _SUCCESS
