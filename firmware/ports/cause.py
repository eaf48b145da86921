# SPDX-License-Identifier: MIT
"""Why the program starts: was it the watchdog? Only the start needs this module."""

import sys


def by_watchdog():
    if sys.platform == "rp2":
        return False  # it resets itself by its watchdog, whoever asks for it
    try:
        from machine import WDT_RESET, reset_cause

        return reset_cause() == WDT_RESET
    except ImportError:
        pass
    try:
        import microcontroller

        return microcontroller.cpu.reset_reason == microcontroller.ResetReason.WATCHDOG
    except (ImportError, AttributeError):
        return False  # a PC, or a board that does not say it
