# SPDX-License-Identifier: MIT
"""Status mapping (class_id 63, version 0; IEC 62056-6-2, 4.3.9): bits of status_word, and where a
reference table has them.

status_word is patched by whoever has the bits (the meter program, a source of the definition);
mapping_table names the table and, of the first bit on, the entries: a number, from which on they
follow one another, or one for each bit.

Project-defined: a mapping_table with more entries than status_word has bits, or with entries
behind 65535, is refused (other-reason). With fewer, the bits that are left mean nothing. Nothing
is allocated.
"""

from cosem import handler, slots
from dlms.axdr import get_u16, length, width
from micropython import const

_STATUS_WORD = const(2)
_MAPPING_AT = const(4)  # 02 02 11 ref_table_id: ref_table_mapping

_ARRAY = const(0x01)
_BIT_STRING = const(0x04)
_VARIABLE = const(0xFE)
_N_ENTRIES = const(0x10000)

_SUCCESS = const(0)
_OTHER_REASON = const(250)


class Handler(handler.Handler):
    def sleeps(self):
        return True

    def check(self, row, attribute, buf, pos, end):
        n = self._n_bits(row)
        at = pos + _MAPPING_AT
        if buf[at] == _ARRAY:
            good = length(buf, at + 1, end) <= n
        else:
            good = get_u16(buf, at + 1) + n <= _N_ENTRIES
        return _SUCCESS if good else _OTHER_REASON

    def _n_bits(self, row):
        model = self.model
        buf = slots.source(model, row, _STATUS_WORD)
        at = slots.offset(model, row, _STATUS_WORD)
        n = width(buf[at])
        if n < _VARIABLE:
            return 8 * n
        n = length(buf, at + 1, len(buf))
        return n if buf[at] == _BIT_STRING else 8 * n
