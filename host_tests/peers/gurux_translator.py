# SPDX-License-Identifier: MIT
"""APDUs as XML, by Gurux' translator: a program of its own, for the peers' environment only.

    build/peers/bin/python host_tests/peers/gurux_translator.py < list > answers

Each line of stdin is hexadecimal; the answer is a line of JSON: {"simple", "standard"}, each the
XML, or {"error"} where the library gives up.

gurux-dlms is GPLv2. It is imported in the programs of this folder and nowhere else.
"""

import contextlib
import io
import json
import sys

from gurux_dlms import GXDLMSTranslator
from gurux_dlms.enums import TranslatorOutputType

_KINDS = {
    "simple": TranslatorOutputType.SIMPLE_XML,
    "standard": TranslatorOutputType.STANDARD_XML,
}


def translated(octets, kind):
    translator = GXDLMSTranslator(kind)
    translator.comments = False
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            return translator.pduToXml(octets)
    except Exception as e:  # whatever the library trips over
        return {"error": "%s: %s" % (type(e).__name__, e)}


def main():
    for line in sys.stdin:
        octets = bytearray.fromhex(line)
        print(json.dumps({name: translated(octets, kind) for name, kind in _KINDS.items()}))


if __name__ == "__main__":
    main()
