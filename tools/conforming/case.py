# SPDX-License-Identifier: MIT
"""What a case is, how it ends, and what is kept of it.

    @case("HDLC_FRAME_P1", "Connecting and disconnecting", "DLMS UA 1001-3; IEC 62056-46")
    def connects(t):
        '''The procedure, for the report.'''
        ...

A case that comes to its end has passed. fail(), inconclusive() and inapplicable() end it
otherwise, each with its reason in a sentence.
"""

PASS, FAIL, INCONCLUSIVE, INAPPLICABLE = "pass", "fail", "inconclusive", "not applicable"
VERDICTS = (PASS, FAIL, INCONCLUSIVE, INAPPLICABLE)


class Verdict(Exception):
    verdict = INCONCLUSIVE


class Fail(Verdict):
    verdict = FAIL


class Inconclusive(Verdict):
    verdict = INCONCLUSIVE


class Inapplicable(Verdict):
    verdict = INAPPLICABLE


def fail(why):
    raise Fail(why)


def inconclusive(why):
    raise Inconclusive(why)


def inapplicable(why):
    raise Inapplicable(why)


def expect(condition, why):
    if not condition:
        raise Fail(why)


class Case:
    """id, title, reference, group, needs (what has to be there, in words of player.NEEDS), and
    play(t), whose docstring is the procedure."""

    def __init__(self, id, title, reference, group, needs, play):
        self.id = id
        self.title = title
        self.reference = reference
        self.group = group
        self.needs = needs
        self.play = play

    @property
    def procedure(self):
        return " ".join((self.play.__doc__ or "").split())


def group_of(name, reference):
    """(list of cases, decorator that adds one) of a module."""
    cases = []

    def case(id, title, about, needs=()):
        def add(play):
            cases.append(Case(id, title, reference + about, name, needs, play))
            return play

        return add

    return cases, case


class Step:
    """One thing that happened: kind "sent", "came" (octets on the line), "asked", "answered" (an
    APDU in plain text), or "note" (text); at: seconds since the case began."""

    __slots__ = ("kind", "octets", "text", "at")

    def __init__(self, kind, octets, text, at):
        self.kind, self.octets, self.text, self.at = kind, octets, text, at


class Result:
    """A case that was played over a profile."""

    def __init__(self, case, profile):
        self.case, self.profile = case, profile
        self.verdict, self.why = PASS, ""
        self.steps = []
        self.seconds = 0.0
        self.given_up = False  # not played, since nothing was to be expected any more

    def as_dict(self):
        return {
            "id": self.case.id,
            "title": self.case.title,
            "group": self.case.group,
            "profile": self.profile,
            "reference": self.case.reference,
            "verdict": self.verdict,
            "why": self.why,
            "seconds": round(self.seconds, 3),
        }
