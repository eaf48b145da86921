# SPDX-License-Identifier: MIT
"""What arguments of programs here mean, for the `type` of argparse: sizes, ports, times."""

import argparse
import datetime
import re

_EPOCH = datetime.datetime(2000, 1, 1, tzinfo=datetime.timezone.utc)


def heap(text):
    if not re.fullmatch("[1-9][0-9]{0,9}[kKmM]?", text):
        raise argparse.ArgumentTypeError("%r is no heap size (512k, 1m)" % text)
    size = int(text.rstrip("kKmM")) << {"k": 10, "m": 20}.get(text[-1].lower(), 0)
    if not 64 << 10 <= size <= 1 << 30:
        raise argparse.ArgumentTypeError("%s is no heap for a meter (64k to 1024m)" % text)
    return text


def port_number(text):
    if not re.fullmatch("[0-9]{1,5}", text) or int(text) > 65535:
        raise argparse.ArgumentTypeError("%r is no port (0..65535)" % text)
    return int(text)


def speed(text):
    if not re.fullmatch("[0-9]{1,6}", text) or int(text) > 100000:
        raise argparse.ArgumentTypeError("%r is no speed (0..100000)" % text)
    return int(text)


def serial_port(text):
    """[path, baud]"""
    path, _, baud = text.rpartition(":")
    if not path or not baud.isdigit():
        path, baud = text, "9600"
    return [path, int(baud)]


def endpoint(text):
    """["tcp", host, number]"""
    host, colon, number = text.rpartition(":")
    if not host or not colon:
        raise argparse.ArgumentTypeError("%r is no HOST:PORT" % text)
    return ["tcp", host.strip("[]"), port_number(number)]


def start_time(text):
    """[minute, second] of the meter's clock in UTC; without an offset the time is UTC."""
    try:
        t = datetime.datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError("%r is no time (2025-01-31T12:00:00)" % text) from None
    if t.tzinfo is None:
        t = t.replace(tzinfo=datetime.timezone.utc)
    seconds = int((t - _EPOCH).total_seconds())
    if not 0 <= seconds < 60 * 2**26:
        raise argparse.ArgumentTypeError("%r is before 2000 or too far ahead" % text)
    return [seconds // 60, seconds % 60]
