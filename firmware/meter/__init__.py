# SPDX-License-Identifier: MIT
"""The meter behind the objects: where energy comes from, and what happens with it in time.

metrology.py says what a source of energy offers; household.py is one that is simulated; program.py
feeds the objects of a definition from it and lets their classes act at the right instants.
"""
