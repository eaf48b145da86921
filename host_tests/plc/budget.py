# SPDX-License-Identifier: MIT
"""How long an exchange over S-FSK may take: clause 7.6 of lib/profiles/sfsk.md, as a calculation.

A frame with initial credit IC is sent IC + 1 times, and gets one hop further each time, unless the
link to the next station loses it; a link that has just lost one is bad longer than chance says.
"""

from plc.initiator import SLACK_SLOTS
from plc.sfsk import SLOT_MS, n_slots, one_way_ms

RARE = 0.001  # of exchanges need more tries than the budget has
TRIES = 20
BURST = 2.0  # steps that a link stays bad, in the mean


def credit(repeaters, loss):
    """Initial credit that a concentrator gives: one a repeater, and some to spare."""
    return repeaters + (2 if loss > 0.2 else 1 if loss else 0)


def arrives(n, hops, ic, loss, burst=BURST):
    """How likely a frame of n octets crosses so many links."""
    memory = max(0.0, 1 - 1 / burst / (1 - loss)) ** n_slots(n)
    again = loss + (1 - loss) * memory  # lost once more, right behind
    at = {(0, False): 1.0}
    for _ in range(ic + 1):
        after = {}
        for (hop, failed), p in at.items():
            if hop == hops:
                after[hop, False] = after.get((hop, False), 0) + p
                continue
            lost = again if failed else loss
            after[hop + 1, False] = after.get((hop + 1, False), 0) + p * (1 - lost)
            after[hop, True] = after.get((hop, True), 0) + p * lost
        at = after
    return at.get((hops, False), 0.0)


class Exchange:
    """A request and its answer, in octets; longest: of an answer that the client awaits."""

    def __init__(self, request, answer, longest, repeaters, loss):
        self.ic = ic = credit(repeaters, loss)
        request += 3
        answer += 3
        both = arrives(request, repeaters + 1, ic, loss) * arrives(answer, repeaters + 1, ic, loss)
        slack_ms = SLACK_SLOTS * SLOT_MS
        self.once_ms = one_way_ms(request, ic) + one_way_ms(answer, ic) + slack_ms
        self.time_out_ms = one_way_ms(request, ic) + one_way_ms(longest + 3, ic) + slack_ms
        self.tries = 1
        missed = 1 - both
        while missed > RARE:
            self.tries += 1
            missed *= 1 - both
        self.budget_ms = self.once_ms + (self.tries - 1) * self.time_out_ms
        self.expected_ms = self.once_ms + (1 / both - 1) * self.time_out_ms


def report_slots(n, slots):
    """(Discovers, time slots) until n meters have been heard: of those left, each time, the ones
    that had a slot for themselves are registered and report no more. Until there is less than one
    twentieth of a meter left."""
    rounds = 0
    left = float(n)
    while left > 0.05:
        alone = (1 - 1 / slots) ** max(left - 1, 0)
        left = left * (1 - alone) if left > 1 else 0
        rounds += 1
    return rounds, rounds * slots
