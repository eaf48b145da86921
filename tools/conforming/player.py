# SPDX-License-Identifier: MIT
"""Plays cases against a target over a profile, and keeps what was sent, what came and why.

Whatever the target does (hangs, closes, answers nonsense) ends a case and not the run: the next
case connects anew. After some cases in a row without a single octet the rest is not played.
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
    Result,
    Step,
    Verdict,
)
from .frames import HDLCLink
from .lines import Closed
from .session import Session
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
_DEAF = 3  # cases in a row of which nothing came
# What a case may take before it is ended.
_MOST_OCTETS = 1 << 24
_MOST_S = 900


class Tap:
    """A line of lines.py, and what goes over it."""

    def __init__(self, line, result, patience_s):
        self._line, self._result = line, result
        self.patience_s = patience_s
        self.quiet_s = line.quiet_s
        self.began = time.monotonic()
        self.came = 0

    def keep(self, kind, octets=b"", text=""):
        at = time.monotonic() - self.began
        self._result.steps.append(Step(kind, bytes(octets), text, at))

    def note(self, text):
        self.keep("note", text=text)

    def open(self):
        self._line.open()

    def close(self):
        self._line.close()

    def write(self, octets):
        self.keep("sent", octets)
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
            if self.came > _MOST_OCTETS or time.monotonic() > self.began + _MOST_S:
                raise Fail("The meter does not come to an end: %d octets." % self.came)
        return octets

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
        self.tap = Tap(player.line, result, player.patience_s)
        self._player = player
        self._links = []

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
            how = {"lower": t.lower, "length": t.address_length, **how}
            link = HDLCLink(self._player.signed_on(self.tap), **how)
        self._links.append(link)
        if opened:
            link.open(client, server)
        return link

    def frames(self, opened=True, client=None, **how):
        """An HDLC link of the public client, or of another."""
        entry = self.public() if client is None else client
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
        name = entry.get("invocation_counter")
        public = self.target.public(entry["server_sap"])
        if not name or public is None or "counter" in entry:
            return
        s = Session(self, self.link(public["client_sap"], public["server_sap"]), public)
        try:
            status, data = s.ready().get(1, name, 2)
        except Verdict:
            return
        if status == 0 and data[:1] == b"\x06" and len(data) == 5:
            counters[guek] = int.from_bytes(data[1:], "big")
        s.release()
        self.done()

    def done(self):
        """The links are closed."""
        while self._links:
            link = self._links.pop()
            try:
                if link.kind == "hdlc" and not self._player.over_tcp:
                    link.disconnect()
            except (Verdict, Closed):
                pass
            link.close()

    # --- Who is asked as

    def public(self):
        found = self.target.public()
        if found is None:
            raise Inapplicable("No client without authentication is known.")
        return found

    def some(self):
        """The association that may do most among those that can be played in plain text."""
        found = self.target.some()
        if found is None:
            raise Inapplicable(
                "No association with logical names can be opened with what is known."
            )
        return found

    def ciphered(self):
        found = self.target.ciphered()
        if found is None:
            raise Inapplicable("No association of security suite 0 with known keys.")
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
        self._deaf = 0

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
        if trial.tap.came:
            self._deaf = 0
        elif result.verdict == FAIL:
            self._deaf += 1
        self.on_result(result)
        return result

    def _play(self, case, trial, result):
        for need in case.needs:
            level, why = _NEEDS.get(need, (READ, ""))
            if self.may < level:
                result.verdict, result.why = INAPPLICABLE, "Not played: %s." % why
                return
        if self._deaf >= _DEAF:
            result.verdict = INCONCLUSIVE
            result.why = "Not played: the meter has not answered in %d cases." % self._deaf
            return
        try:
            why = case.play(trial)
            result.verdict, result.why = PASS, why or ""
        except Verdict as e:
            result.verdict, result.why = e.verdict, str(e)
        except Closed as e:
            result.verdict, result.why = FAIL, str(e)
        except Exception as e:  # nonsense that a case did not foresee
            result.verdict = FAIL
            where = traceback.extract_tb(e.__traceback__)[-1]
            result.why = "What came is malformed (%s in %s, line %d: %s)." % (
                type(e).__name__, where.name, where.lineno, e,
            )  # fmt: skip
