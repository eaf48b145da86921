# SPDX-License-Identifier: MIT
"""Takes apart what a meter has sent unasked, with dlms-cosem: a program of its own, for the peers'
environment only.

    build/peers/bin/python host_tests/peers/dlms_cosem_notification.py < LINES

Each line of stdin is JSON: apdu, and guek, gak of one in general-glo-ciphering (hexadecimal); the
answer to it is one: id, confirmed, time, value (octets in hexadecimal), or error.

dlms-cosem is under the Business Source Licence. It is imported here and in dlms_cosem_client.py,
and nothing imports this file.
"""

import json
import sys

from dlms_cosem import security, utils
from dlms_cosem.protocol.xdlms.data_notification import DataNotification
from dlms_cosem.protocol.xdlms.general_global_cipher import GeneralGlobalCipher

_GENERAL_GLO = 0xDB


def plain(value):
    if isinstance(value, (bytes, bytearray)):
        return bytes(value).hex()
    return [plain(v) for v in value] if isinstance(value, list) else value


def understood(c):
    apdu = bytes.fromhex(c["apdu"])
    if apdu[0] == _GENERAL_GLO:
        g = GeneralGlobalCipher.from_bytes(apdu)
        apdu = bytes(
            security.decrypt(
                g.security_control,
                g.system_title,
                g.invocation_counter,
                bytes.fromhex(c["guek"]),
                bytes(g.ciphered_text),
                bytes.fromhex(c["gak"]),
            )
        )
    n = DataNotification.from_bytes(apdu)
    return {
        "id": n.long_invoke_id_and_priority.long_invoke_id,
        "confirmed": n.long_invoke_id_and_priority.confirmed,
        "time": str(n.date_time),
        "value": plain(utils.parse_as_dlms_data(n.body)),
    }


for line in sys.stdin:
    try:
        answer = understood(json.loads(line))
    except Exception as e:
        answer = {"error": "%s: %s" % (type(e).__name__, e)}
    print(json.dumps(answer), flush=True)
