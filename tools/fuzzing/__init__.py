# SPDX-License-Identifier: MIT
"""What `make fuzz` tries: a target is a row of TARGETS and a function of its name.

    target_name() -> one(octets)     a fresh target. one() plays an input: whatever leaves it, an
                                     AssertionError of its oracles too, is a finding
    one.seeds                        inputs to begin with, beside those of host_tests/corpus

The function stands in the module that the row names. What is made is used for `renew` inputs, one
after the other (0: for all, it keeps nothing), so that sessions go on from where the input before
left them; a finding is therefore written with all that came before it since then.
"""

import importlib
import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CORPUS = os.path.join(ROOT, "host_tests", "corpus")
# What coverage is measured of.
PACKAGES = ("dlms", "cosem", "profiles", "crypto", "firmware", "decoding", "feed")

# (module, longest input, renew, what it is)
TARGETS = {
    "axdr": ("decoders", 400, 0, "A-XDR: length, skip, types, compact-array against values"),
    "acse": ("decoders", 300, 200, "AARQ and RLRQ of anybody, short names too"),
    "certificate": ("decoders", 1200, 0, "X.509 and DER as import_certificate takes them"),
    "mbus_records": ("decoders", 260, 0, "data records of M-Bus slaves"),
    "container": ("decoders", 600, 0, "head and files of a firmware image"),
    "sntp": ("decoders", 120, 0, "answers of time servers"),
    "hdlc": ("lines", 700, 100, "HDLC: octets, and frames with a right FCS, several links"),
    "wrapper_tcp": ("lines", 700, 100, "wrapper over TCP: a stream, cut anywhere"),
    "wrapper_udp": ("lines", 700, 100, "wrapper over UDP: datagrams, broadcast too"),
    "iec62056_21": ("lines", 400, 100, "optical port: sign-on, programming, mode E"),
    "llc_432": ("lines", 600, 100, "LLC of 61334-4-32"),
    "llc_hdlc": ("lines", 600, 100, "LLC based on HDLC, a frame at a time"),
    "mbus_link": ("answers", 400, 100, "answers that a master on M-Bus hears"),
    "clients": ("answers", 600, 100, "answers that the gateway's clients hear, HDLC and wrapper"),
    "gateway": ("answers", 500, 100, "requests for meters behind this one, and their answers"),
    "sfsk": ("networks", 500, 50, "S-FSK: CIASE, MAC addresses, synchronization"),
    "prime": ("networks", 500, 50, "PRIME: what a service node hands on"),
    "g3": ("networks", 600, 50, "G3: IPv6, UDP, wrapper"),
    "st7580": ("networks", 500, 50, "raw link over ST7580"),
    "lon": ("networks", 500, 50, "ISO/IEC 14908: frames, NPDU, transactions, messages"),
    "modem_amis49587": ("modems", 500, 50, "driver of the AMIS-49587 against octets"),
    "modem_st7580": ("modems", 500, 50, "driver of the ST7580 against octets"),
    "modem_prime_node": ("modems", 500, 50, "driver of a PRIME node over USI against octets"),
    "modem_g3_adp": ("modems", 500, 50, "driver of a G3 device over USI against octets"),
    "modem_mip_u61": ("modems", 500, 50, "driver of a network interface against octets"),
    "apdu": ("sessions", 300, 100, "APDUs of an open association, in plain text"),
    "ciphered": ("sessions", 400, 100, "glo, ded, general-glo, general-ded with right keys"),
    "general": ("sessions", 400, 50, "general-ciphering with right keys, signed, suites 1 and 2"),
    "gbt": ("sessions", 400, 100, "general block transfer"),
    "session": ("sessions", 400, 100, "all clients of the reference meter, and its time"),
    "short_names": ("sessions", 400, 100, "Read, Write and their kin of short names"),
    "timing": ("sessions", 400, 50, "calendars, schedules, scripts, and clocks that jump"),
    "payment": ("sessions", 400, 50, "accounts, credits, charges and tokens"),
    "store_flash": ("stores", 300, 0, "raw flash with octets changed, at the start"),
    "store_files": ("stores", 300, 0, "snapshots and rings with octets changed, at the start"),
    "provisioning": ("stores", 400, 0, "provisioning records, with a right CRC too"),
    "journal": ("stores", 240, 0, "what the launcher reads to know which firmware it starts"),
    "decode_apdu": ("pc", 400, 0, "tools/decode.py: any APDU, and written again"),
    "decode_conversation": ("pc", 700, 0, "tools/decode.py: layers, segments, blocks, ciphers"),
    "decode_trace": ("pc", 600, 0, "tools/decode.py: text of traces"),
    "decode_capture": ("pc", 900, 0, "tools/decode.py: pcap and pcapng"),
    "feed": ("pc", 500, 0, "lines that a running meter prints for programs"),
    "image": ("stores", 500, 50, "Image transfer: methods and blocks, verified and activated"),
}


def paths():
    """The stack, the program, the tools and the doubles of host_tests can be imported."""
    for folder in ("host_tests", "tools", "", "lib"):
        folder = os.path.join(ROOT, folder) if folder else ROOT
        if folder not in sys.path:
            sys.path.insert(0, folder)
    if "micropython" not in sys.modules:
        sys.path.append(os.path.join(ROOT, "firmware", "ports", "shim"))


def maker(name):
    """The function that makes a target."""
    paths()
    return getattr(importlib.import_module("fuzzing." + TARGETS[name][0]), "target_" + name)
