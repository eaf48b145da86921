# SPDX-License-Identifier: MIT
"""The groups of cases, over which profiles each is played, and which cases are chosen."""

import importlib

# Group: (what it is, profiles). In the order in which they are played.
GROUPS = {
    "optical": ("optical port, IEC 62056-21", ("optical",)),
    "hdlc": ("data link layer, HDLC", ("hdlc", "optical")),
    "wrapper": ("wrapper over TCP", ("wrapper",)),
    "application": ("application layer", ("wrapper", "hdlc", "optical")),
    "objects": ("COSEM objects", ("wrapper", "hdlc", "optical")),
    "blocks": ("block transfer", ("wrapper", "hdlc", "optical")),
    "gbt": ("general block transfer", ("wrapper", "hdlc", "optical")),
    # Last: it changes keys and policies.
    "security": ("symmetric security", ("wrapper", "hdlc", "optical")),
}


_MODULES = {
    "hdlc": ("hdlc", "hdlc_exchange"),
    "application": ("application", "services"),
    "objects": ("objects", "several"),
    "security": ("security", "security_keys"),
}


def modules(group):
    return [importlib.import_module("conforming." + m) for m in _MODULES.get(group, (group,))]


def chosen(case, ids):
    """Is a case one of those that are named by their ids, or how these begin?"""
    return not ids or any(case.id == i or case.id.startswith(i + "_") for i in ids)


def listed(groups=None):
    """(group, Case) of all that have an id before a meter is asked."""
    for group in GROUPS:
        if groups and group not in groups:
            continue
        for m in modules(group):
            for case in m.CASES:
                yield group, case


def play(player, groups, ids):
    """Play the cases of groups over the player's profile; a Result each, as they come."""
    for group in groups:
        if player.kind not in GROUPS[group][1]:
            continue
        for m in modules(group):
            for case in m.CASES:
                if chosen(case, ids):
                    yield player.play(case)
            if hasattr(m, "more"):
                for case in m.more(player):
                    # Without the object lists nobody knows what else there is.
                    if chosen(case, ids) or case.id == getattr(m, "LIST", None):
                        yield player.play(case)
