# SPDX-License-Identifier: MIT
"""A run on the terminal, with rich: counts that grow, the case that is played, and what failed.
Where there is no terminal: a line for what failed, one for each group, one at the end."""

import time

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from .case import FAIL, INAPPLICABLE, INCONCLUSIVE, PASS, VERDICTS

_COLORS = {PASS: "green", FAIL: "bold red", INCONCLUSIVE: "yellow", INAPPLICABLE: "dim"}


class Terminal:
    def __init__(self, scrub, quiet=False):
        """quiet: stdout is for others; all of this goes to stderr anyway."""
        self.scrub = scrub
        self.console = Console(stderr=True, highlight=False)
        self.rows = {}
        self.now = ""
        self._given_up = ""
        self._began = time.monotonic()
        self._live = None
        if self.console.is_terminal and not quiet:
            self._live = Live(self, console=self.console, refresh_per_second=8)

    def __enter__(self):
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *_):
        self.now = ""
        if self._live:
            self._live.stop()

    def __rich__(self):
        table = Table(box=None, pad_edge=False, header_style="dim")
        table.add_column("")
        for v in VERDICTS:
            table.add_column(v, justify="right")
        table.add_column("time", justify="right")
        for (profile, group), (counts, seconds) in self.rows.items():
            cells = [Text(str(counts[v] or "-"), _COLORS[v] if counts[v] else "dim")
                     for v in VERDICTS]  # fmt: skip
            table.add_row("%s · %s" % (profile, group), *cells, "%.1f s" % seconds)
        if not self.now:
            return table
        now = "%3.0f s  %s" % (time.monotonic() - self._began, self.now)
        return Group(table, Text(now, "italic", no_wrap=True, overflow="ellipsis"))

    def case(self, case):
        self.now = "%s %s" % (case.id, case.title)

    def result(self, result):
        row = self.rows.setdefault(
            (result.profile, result.case.group), [dict.fromkeys(VERDICTS, 0), 0.0]
        )
        row[0][result.verdict] += 1
        row[1] += result.seconds
        if result.given_up:
            if self._given_up != result.why:
                self._given_up = result.why
                why = result.why.partition(": ")[2]
                self.console.print("From %s on no case is played over %s: %s" % (
                    result.case.id, result.profile, why))  # fmt: skip
        elif result.verdict in (FAIL, INCONCLUSIVE):
            self.console.print(
                Text.assemble(
                    (result.verdict, _COLORS[result.verdict]),
                    " %s over %s: %s"
                    % (result.case.id, result.profile, self.scrub.text(result.why)),
                ),
                soft_wrap=True,
            )

    def place(self, profile):
        """A profile has been played."""
        if not self._live:
            for (of, group), (counts, seconds) in self.rows.items():
                if of == profile:
                    said = ", ".join("%d %s" % (n, v) for v, n in counts.items() if n)
                    self.console.print("%s %s: %s, %.1f s" % (of, group, said, seconds))

    def end(self, text):
        self.console.print(text, soft_wrap=True)
