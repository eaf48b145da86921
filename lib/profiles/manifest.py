# SPDX-License-Identifier: MIT
# ruff: noqa: F821
"""HDLC and wrapper communication profiles, without I/O. Made by tools/package.py."""

metadata(
    description="HDLC and wrapper communication profiles, without I/O",
    version="0.1.0",
    license="MIT",
)
add_library("picometer", "..")
require("dlms", library="picometer")
package(
    "profiles",
    files=(
        "__init__.py",
        "ciase.py",
        "client.py",
        "g3.py",
        "hdlc.py",
        "hdlc_client.py",
        "hdlc_frame.py",
        "hdlc_link.py",
        "iec62056_21.py",
        "iec62056_21_answer.py",
        "iec62056_21_message.py",
        "ipv6_udp.py",
        "llc_432.py",
        "llc_hdlc.py",
        "lon.py",
        "lon_frame.py",
        "lon_messages.py",
        "lon_node.py",
        "mbus.py",
        "mbus_records.py",
        "modems/__init__.py",
        "modems/amis49587.py",
        "modems/g3_adp.py",
        "modems/local_modem.py",
        "modems/mip_u61.py",
        "modems/prime_node.py",
        "modems/st7580.py",
        "modems/stx.py",
        "modems/usi.py",
        "modems/usi_modem.py",
        "prime.py",
        "repeated.py",
        "sfsk.py",
        "sfsk_mac.py",
        "sntp.py",
        "st7580.py",
        "station.py",
        "wrapper.py",
        "wrapper_client.py",
    ),
    base_path="..",
    opt=2,
)
