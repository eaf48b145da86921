# SPDX-License-Identifier: MIT
"""Modems, octet by octet, as their data sheets and public sources describe them: what the drivers
of lib/profiles/modems are tested against. CPython only. Time is virtual: turn(now_ms).
"""
