# SPDX-License-Identifier: MIT
"""Captures of what goes over the links of a meter: tools/capture.py says what is in them.

capture.py    Capture: takes the events of a feed, and writes what they mean
talks.py      what passes a link, as packets: a class for each kind of link
packets.py    IPv4, IPv6, UDP and TCP around octets
sockets.py    addresses that a meter cannot say
file.py       File: pcapng, whole after every block
"""
