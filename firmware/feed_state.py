# SPDX-License-Identifier: MIT
"""The state of a meter, once a second, for who reads its feed: see State of tools/feeds. Loaded
with the first; allocates, between two requests.
"""

import gc
import json

from cosem import slots
from micropython import const

_DISCONNECT_CONTROL = const(70)
_OUTPUT_STATE = const(2)
_CONTROL_STATE = const(3)
_CONTROL_MODE = const(4)
_MECHANISM = const(3)  # of a row of ASSOCIATIONS
_IDLE = const(0)
_STATES = ("idle", "pending", "open")


def state(feed, meter, links):
    """As a line of JSON."""
    model = meter.model
    clock = meter.program.clock
    display = None
    for output in meter.outputs:
        if hasattr(output, "press"):
            display = [_text(output.label), _text(output.value)]
    counters = dict(feed.counts)
    counters["dropped"] = sum([_dropped(p) for link in links for p in link.profiles()])
    counters["overruns"] = sum([getattr(link, "overruns", 0) for link in links])
    return json.dumps(
        {
            "time": [clock.minute, clock.second],
            "display": display,
            "associations": [
                _association(feed, links, a) for a in meter.server.associations if a.state != _IDLE
            ],
            "heap": [gc.mem_alloc(), gc.mem_free()] if hasattr(gc, "mem_free") else None,
            "supply": [_supply(model, row) for row in model.rows(_DISCONNECT_CONTROL)] or None,
            "counters": counters,
        }
    )


def _text(line):
    return str(line, "ascii").rstrip()


def _dropped(profile):
    """Frames that were none."""
    return getattr(profile, "dropped", 0)


def _association(feed, links, a):
    return {
        "link": _link_of(feed, links, a.channel),
        "client": a.client_sap,
        "server": a.server_sap,
        "mechanism": a.config[_MECHANISM],
        "state": _STATES[a.state],
        "ciphered": a.context is not None,
    }


def _link_of(feed, links, channel):
    """Number of the link that a channel is of; 0: it has none."""
    for link in links:
        for place in getattr(link, "places", (link,)):
            for profile in [place.profile] if place is not link else link.profiles():
                for part in getattr(profile, "links", (profile,)):
                    if getattr(part, "channel", None) is channel:
                        return feed.number_of(link, place)
    return 0


def _supply(model, row):
    return {
        "connected": slots.octet(model, row, _OUTPUT_STATE) != 0,
        "state": slots.octet(model, row, _CONTROL_STATE),
        "mode": slots.octet(model, row, _CONTROL_MODE),
    }
