# SPDX-License-Identifier: MIT
"""The program of a meter: entry points, links, ports, and the meter itself."""
