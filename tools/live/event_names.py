# SPDX-License-Identifier: MIT
"""What event codes mean, for people: firmware/meter/events.py, which numbers them, as a table."""

_PHASED = {
    70: "current of %s too high", 76: "voltage low on %s", 79: "voltage high on %s",
    82: "voltage missing on %s", 85: "voltage normal on %s", 92: "a week of bad quality on %s",
}  # fmt: skip

NAMES = {
    1: "power down", 2: "power up", 3: "daylight saving begins or ends",
    4: "clock set, the old time", 5: "clock set, the new time", 6: "clock invalid",
    9: "calendar activated", 10: "error register cleared", 11: "alarm register cleared",
    13: "RAM error", 14: "non-volatile memory error", 15: "watchdog", 16: "measurement error",
    17: "firmware ready", 18: "firmware activated", 47: "configuration changed",
    48: "global key changed", 51: "firmware verification failed", 100: "image truncated",
    101: "image damaged", 102: "image wrongly signed", 103: "image not newer",
    104: "image for another runtime", 105: "new firmware did not come up",
    254: "load profile cleared", 255: "event log cleared",
    40: "terminal cover off", 41: "terminal cover on", 42: "strong field begins",
    43: "strong field ends", 44: "meter cover off", 45: "meter cover on",
    46: "association authentication failed", 49: "deciphering failed",
    50: "replayed invocation counter", 91: "current reversed",
    59: "ready for reconnection", 60: "manual disconnection", 61: "manual reconnection",
    62: "remote disconnection", 63: "remote reconnection", 64: "local disconnection",
    65: "limit exceeded", 66: "limit kept again", 67: "limit changed",
    68: "disconnector failed", 69: "local reconnection",
    71: "current of L1 normal", 73: "current of L2 normal", 75: "current of L3 normal",
    88: "phases reversed", 89: "neutral missing", 90: "asymmetry",
    140: "no connection", 158: "local communication",
}  # fmt: skip
for _first, _text in _PHASED.items():
    for _k in range(3):
        NAMES[_first + _k * (2 if _first == 70 else 1)] = _text % ("L%d" % (_k + 1))


def name(code):
    return NAMES.get(code, "event %d" % code)
