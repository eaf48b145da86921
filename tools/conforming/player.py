# SPDX-License-Identifier: MIT
"""Plays cases against a target over a profile, and keeps what was sent, what came and why.

Whatever the target does (hangs, closes, answers nonsense) ends a case and not the run: the next
case connects anew. After some cases in a row without a single octet, or with octets without an
end, the rest is not played; nor is it where nobody can be connected to.
"""

import contextlib
import time
import traceback

from .case import (
    FAIL,
    INAPPLICABLE,
    INCONCLUSIVE,
    PASS,
    Fail,
    Inapplicable,
    Inconclusive,
    Result,
    Step,
    Verdict,
    fail,
)
from .frames import HDLCLink
from .lines import Closed
from .session import Session, dotted, obis
from .wpdus import WrapperLink

READ, WRITE, KEYS, POLICY = range(4)
LEVELS = ("read", "write", "keys", "policy")
_NEEDS = {
    "write": (WRITE, "values of the meter are changed (and put back), which needs --may write"),
    "keys": (KEYS, "keys of the meter are changed (and put back), which needs --may keys"),
    "policy": (POLICY, "a security policy is raised, for ever, which needs --may policy"),
}
NEEDS = {
    "write": "may change values", "keys": "may change keys", "policy": "may raise a policy",
    "ciphered": "an association that ciphers with keys that are known",
    "sn": "an association with short names",
}  # fmt: skip
# Groups whose cases judge how a link comes up; others need one.
_OF_LINKS = ("optical", "hdlc", "wrapper")
_LENGTHS = (1, 2, 4)
# Cases in a row of which nothing came: at the beginning, and later, when some of its associations
# may be what is dead.
_DEAF, _DEAF_LATER = 3, 8
_ENDLESS = 3  # cases in a row of which what came did not end
# What a case may take before it is ended; and how long what comes may go on behind what was sent:
# a data readout at 300 baud takes minutes.
_MOST_OCTETS = 1 << 24
_MOST_S = 900
_MOST_TALK_S = {"optical": 300}
_MOST_TALK_OTHERWISE_S = 60


class Tap:
    """A line of lines.py, and what goes over it. tried, refused: open() was called, and failed;
    endless: what came did not end."""

    def __init__(self, line, result, patience_s):
        self._line, self._result = line, result
        self.patience_s = patience_s
        self._most_s = _MOST_TALK_S.get(result.profile, _MOST_TALK_OTHERWISE_S)
        self._spoken = 0.0
        self.quiet_s = line.quiet_s
        self.began = time.monotonic()
        self.tried = self.refused = self.endless = False
        self.came = 0

    def keep(self, kind, octets=b"", text=""):
        at = time.monotonic() - self.began
        self._result.steps.append(Step(kind, bytes(octets), text, at))

    def note(self, text):
        self.keep("note", text=text)

    def open(self):
        self.tried = True
        self._spoken = time.monotonic()
        try:
            self._line.open()
        except Closed:
            self.refused = True
            raise

    def close(self):
        self._line.close()

    def write(self, octets):
        self.keep("sent", octets)
        self._spoken = time.monotonic()
        with self._kept():
            self._line.write(octets)

    @contextlib.contextmanager
    def _kept(self):
        """That a connection has ended is part of what came."""
        try:
            yield
        except Closed as e:
            self.note(str(e))
            raise

    def read(self, seconds):
        with self._kept():
            octets = self._line.read(seconds)
        if octets:
            self.came += len(octets)
            self.keep("came", octets)
            self._is_there_an_end()
        return octets

    def _is_there_an_end(self):
        now = time.monotonic()
        talks_s = now - self._spoken
        if self.came > _MOST_OCTETS or now > self.began + _MOST_S or talks_s > self._most_s:
            self.endless = True
            raise Fail(
                "What the meter says does not come to an end: %d octets in all, the last ones"
                " %.0f s after it was asked." % (self.came, talks_s)
            )

    def wait(self, seconds):
        self._line.wait(seconds)

    def settings(self, *what):
        self._line.settings(*what)


class Trial:
    """What a case is played with.

    target   target.Target: who is asked
    kind     "wrapper", "hdlc" or "optical"
    tap      the line; link(), session() are made over it
    """

    def __init__(self, player, result):
        self.target = player.target
        self.kind = player.kind
        self.may = player.may
        self.longest_s = player.longest_s
        self.over_tcp = player.over_tcp
        self.tap = Tap(player.line, result, player.patience_s)
        self._player = player
        self._links = []
        self.suite = 0  # other cases of security.py set it
        self._is_of_links = result.case.group in _OF_LINKS

    def note(self, text):
        self.tap.note(text)

    def keep(self, kind, octets):
        self.tap.keep(kind, octets)

    # --- Links

    def link(self, client, server, opened=True, **how):
        """A link of the profile, up to where APDUs can go."""
        if self.kind == "wrapper":
            link = WrapperLink(self.tap)
        else:
            t = self.target
            line = self._player.signed_on(self.tap)
            how = {"lower": t.lower, "length": self.lengths(line)[0], **how}
            link = HDLCLink(line, **how)
        self._links.append(link)
        if opened:
            try:
                link.open(client, server)
            except (Verdict, Closed) as e:
                if self._is_of_links:
                    raise
                raise Inconclusive("There is no link to play this over. %s" % e) from None
        return link

    def lengths(self, line=None):
        """Octets that server addresses may have. Where nobody has said it: those to which a SNRM
        is answered."""
        t = self.target
        if t.lengths:
            return t.lengths
        found = []
        entry = self.plain()
        for n in _LENGTHS:
            link = HDLCLink(line or self._player.signed_on(self.tap), t.lower, n)
            try:
                link.open(entry["client_sap"], entry["server_sap"])
                link.disconnect()
                found.append(n)
            except Verdict as e:
                self.note("addresses of %d octets: %s" % (n, e))
            link.close()
        if not found:
            fail("SNRM is answered to no address of 1, 2 or 4 octets.")
        t.lengths = found
        return found

    def frames(self, opened=True, **how):
        """An HDLC link of plain()."""
        entry = self.plain()
        return self.link(entry["client_sap"], entry["server_sap"], opened, **how)

    def session(self, entry, **how):
        """A Session of an entry of the description, over a link that is up; not open yet."""
        if entry.get("guek_hex"):
            self.counter(entry)
        return Session(self, self.link(entry["client_sap"], entry["server_sap"]), entry, **how)

    def counter(self, entry):
        """Find out, once for each key, what counter the meter takes next."""
        guek = bytes.fromhex(entry["guek_hex"])
        counters = self.target.counters
        if guek in counters:
            return
        counters[guek] = entry.get("counter", 0)
        public = self.target.public(entry["server_sap"])
        if "counter" in entry or public is None:
            return
        # Where nobody says it: the OBIS code of invocation counters, 0.b.43.1.e.
        of = obis(entry.get("security_setup", "0.0.43.0.0"))
        name = entry.get("invocation_counter", dotted((*of[:3], 1, *of[4:])))
        s = Session(self, self.link(public["client_sap"], public["server_sap"]), public)
        try:
            status, data = s.ready().get(1, name, 2)
        except Verdict:
            return
        if status == 0 and data[:1] == b"\x06" and len(data) == 5:
            counters[guek] = int.from_bytes(data[1:], "big") + 1  # it may be the last one
        s.leave()

    def done(self):
        """The links are closed."""
        while self._links:
            link = self._links.pop()
            try:
                if link.kind == "hdlc" and not self.over_tcp:
                    link.disconnect()
            except (Verdict, Closed):
                pass
            link.close()

    # --- Who is asked as

    def plain(self, secret=False):
        """One in plain text: without authentication if there is one; or with a secret (LLS)."""
        found = self.target.plain(secret)
        if found is None:
            raise Inapplicable(
                "No association without ciphering, with a low level secret or none, is known."
            )
        return found

    def aarq(self):
        return Session(self, None, self.plain()).aarq()

    def some(self):
        """The association that may do most among those that can be played in plain text."""
        found = self.target.some()
        if found is None:
            raise Inapplicable(
                "No association with logical names can be opened with what is known."
            )
        return found

    def ciphered(self):
        """That of the suite that a case is about."""
        found = self.target.ciphered(self.suite)
        if found is None:
            raise Inapplicable("No association of security suite %d with known keys." % self.suite)
        return found


class Player:
    """line: of lines.py; kind: see Trial; may: index of LEVELS; on_result: told of each Result."""

    def __init__(self, target, line, kind, may=WRITE, patience_s=5, longest_s=130,
                 on_result=None, over_tcp=True):  # fmt: skip
        self.target, self.line, self.kind, self.may = target, line, kind, may
        self.patience_s, self.longest_s = patience_s, longest_s
        self.over_tcp = over_tcp
        self.on_result = on_result or (lambda result: None)
        self.on_case = lambda case: None
        self._deaf, self._most_deaf = 0, _DEAF
        self._endless = 0
        self._given_up = ""

    def signed_on(self, tap):
        """The tap, or for an optical port one that signs on when it opens."""
        if self.kind != "optical":
            return tap
        from .sign_on import SignedOn

        return SignedOn(tap, self.target)

    def play(self, case):
        result = Result(case, self.kind)
        self.on_case(case)
        trial = Trial(self, result)
        try:
            self._play(case, trial, result)
        finally:
            try:
                trial.done()
            finally:
                self.line.close()
        result.seconds = time.monotonic() - trial.tap.began
        self._judge(trial.tap)
        self.on_result(result)
        return result

    def _judge(self, tap):
        """Is it worth while to go on?"""
        if not tap.tried:
            return
        self._endless = self._endless + 1 if tap.endless else 0
        if tap.came:
            self._deaf, self._most_deaf = 0, _DEAF_LATER
        else:
            self._deaf += 1
        if tap.refused and self._most_deaf == _DEAF:
            self._given_up = "there is no connection"
        elif self._deaf >= self._most_deaf:
            self._given_up = "the meter has not answered in %d cases" % self._deaf
        elif self._endless >= _ENDLESS:
            self._given_up = "what the meter says has not ended in %d cases" % self._endless

    def _play(self, case, trial, result):
        for need in case.needs:
            level, why = _NEEDS.get(need, (READ, ""))
            if self.may < level:
                result.verdict, result.why = INAPPLICABLE, "Not played: %s." % why
                return
        if self._given_up:
            result.verdict, result.why = INCONCLUSIVE, "Not played: %s." % self._given_up
            result.given_up = True
            return
        try:
            why = case.play(trial)
            result.verdict, result.why = PASS, why or ""
        except Verdict as e:
            result.verdict, result.why = e.verdict, str(e)
        except Closed as e:
            nobody = trial.tap.refused and not trial.tap.came
            result.verdict, result.why = INCONCLUSIVE if nobody else FAIL, str(e)
        except Exception as e:
            # Nonsense that a case did not foresee: the octets are to be looked at.
            result.verdict = INCONCLUSIVE
            where = traceback.extract_tb(e.__traceback__)[-1]
            result.why = "What came is not understood (%s in %s, line %d: %s)." % (
                type(e).__name__, where.name, where.lineno, e,
            )  # fmt: skip
