# SPDX-License-Identifier: MIT
"""One HTML file of a run: charts, and each case with what was sent, what came, and why.

It needs nothing from outside, is read in light and dark and on paper, and shows no secret.
"""

import html
import math

from . import explain
from .case import FAIL, INAPPLICABLE, INCONCLUSIVE, PASS, VERDICTS
from .groups import GROUPS
from .player import NEEDS

_CLASSES = {PASS: "p", FAIL: "f", INCONCLUSIVE: "i", INAPPLICABLE: "n"}
_SIGNS = {PASS: "✓", FAIL: "✗", INCONCLUSIVE: "?", INAPPLICABLE: "–"}
_KINDS = {"sent": "→ sent", "came": "← came", "asked": "→ request", "answered": "← answer",
          "note": ""}  # fmt: skip
_HEAD_STEPS, _TAIL_STEPS = 24, 8  # of a case that has passed
_FAILED_STEPS = 200
_MOST_OCTETS = 160
_RADIUS = 54

_STYLE = """
:root{--bg:#fff;--fg:#1c2126;--dim:#5c6670;--line:#d8dde2;--box:#f5f7f9;
--p:#1a7f45;--f:#c0262d;--i:#a86400;--n:#69747f}
@media (prefers-color-scheme:dark){:root{--bg:#14171a;--fg:#e4e8ec;--dim:#98a2ac;--line:#333a41;
--box:#1c2126;--p:#4cc27d;--f:#ff7076;--i:#f0b04f;--n:#8e99a4}}
*{box-sizing:border-box}
body{background:var(--bg);color:var(--fg);font:15px/1.45 system-ui,sans-serif;margin:0 auto;
max-width:70rem;padding:1.2rem}
h1{font-size:1.5rem;margin:.2rem 0}h2{font-size:1.15rem;margin:1.8rem 0 .5rem}
h2 small{color:var(--dim);font-weight:400}
p{margin:.3rem 0}.dim{color:var(--dim)}.p{color:var(--p)}.f{color:var(--f)}.i{color:var(--i)}
.n{color:var(--n)}svg text{fill:var(--fg);font:13px system-ui,sans-serif}
svg .ring{fill:none;stroke-width:18}svg .ring.p{stroke:var(--p)}svg .ring.f{stroke:var(--f)}
svg .ring.i{stroke:var(--i)}
.charts{display:flex;flex-wrap:wrap;gap:1.5rem;align-items:center}
.bars{flex:1 1 20rem;max-width:46rem}svg{max-width:100%;height:auto}
.row{display:grid;grid-template-columns:10rem 1fr 6rem;gap:.6rem;align-items:center;
font-size:.86rem;line-height:1.7}.row span:first-child{text-align:right;white-space:nowrap}
.bar{display:flex;height:1rem}.bar i{min-width:2px}
i.p{background:var(--p)}i.f{background:var(--f)}i.i{background:var(--i)}i.n{background:var(--n)}
nav{display:flex;flex-wrap:wrap;gap:.4rem;margin:.8rem 0}
nav label{border:1px solid var(--line);border-radius:1rem;padding:.1rem .7rem;cursor:pointer}
details{border:1px solid var(--line);border-radius:.4rem;margin:.25rem 0;background:var(--box)}
summary{cursor:pointer;padding:.35rem .6rem;display:flex;gap:.6rem;align-items:baseline}
summary b{flex:0 0 1.1rem;text-align:center}summary .id{font:600 .86rem ui-monospace,monospace}
summary .why{color:var(--dim);flex:1;overflow:hidden;text-overflow:ellipsis;white-space:nowrap}
summary .s{color:var(--dim);font-size:.8rem;white-space:nowrap}
details[open] summary .why{visibility:hidden}
.in{padding:.2rem .8rem .7rem;border-top:1px solid var(--line)}
table{border-collapse:collapse;width:100%;margin-top:.4rem;table-layout:fixed}
td{border-top:1px solid var(--line);padding:.2rem .4rem;vertical-align:top}
td:nth-child(1){width:4.6rem}td:nth-child(2){width:5.6rem}
td,pre{font:12px/1.4 ui-monospace,monospace}pre{margin:.2rem 0;white-space:pre-wrap}
.hex{overflow-wrap:anywhere}tr.note td{color:var(--dim)}
#v-p:not(:checked)~main details.v-p,#v-f:not(:checked)~main details.v-f,
#v-i:not(:checked)~main details.v-i,#v-n:not(:checked)~main details.v-n{display:none}
input.v{position:absolute;opacity:0}input.v:focus-visible+*{outline:2px solid}
#v-p:checked~nav [for=v-p],#v-f:checked~nav [for=v-f],#v-i:checked~nav [for=v-i],
#v-n:checked~nav [for=v-n]{background:var(--box);border-color:currentColor;font-weight:600}
@media print{body{max-width:none;font-size:11px}nav,input.v{display:none}
details{break-inside:avoid-page}:root{--bg:#fff;--fg:#000;--box:#fff}}
@media (max-width:40rem){body{padding:.8rem}nav label{padding:.3rem .8rem}
.charts{gap:.5rem}.row{grid-template-columns:8.3rem 1fr 4.6rem;font-size:.8rem}
summary{flex-wrap:wrap;gap:.1rem .6rem}summary .s{margin-left:auto;order:1}
summary .t,summary .why{order:2;flex:1 1 100%;padding-left:1.7rem}
summary .why:empty,details[open] summary .why{display:none}summary .why{white-space:normal}
.in{padding:.2rem .5rem .6rem}td:nth-child(1){display:none}td:nth-child(2){width:4.9rem}
pre{white-space:pre;overflow-x:auto}}
"""


def page(results, about, scrub, full=False):
    """about: {"name", "places", "when", "seconds", "may"}; full: all steps of all cases."""
    n = tally(results)
    title = "Conformance of %s" % about["name"]
    out = [
        "<!doctype html><html lang=en><head><meta charset=utf-8>",
        "<meta name=viewport content='width=device-width,initial-scale=1'>",
        "<meta name=color-scheme content='light dark'>",
        "<title>%s</title><style>%s</style></head><body>" % (escaped(title), _STYLE),
        "<h1>%s</h1>" % escaped(title),
        "<p>%s cases in %d s: %s.</p>" % (len(results), about["seconds"], ", ".join(
            "<b class=%s>%d %s</b>" % (_CLASSES[v], n[v], v) for v in VERDICTS if n[v])),
        "<p class=dim>%s · %s · allowed: %s</p>" % (
            escaped(", ".join(about["places"])), escaped(about["when"]), escaped(about["may"])),
        "<div class=charts>%s<div class=bars>%s</div></div>" % (ring(n), bars(results)),
    ]  # fmt: skip
    for v in VERDICTS:
        out.append("<input class=v type=checkbox id=v-%s checked>" % _CLASSES[v])
    out.append("<nav aria-label='what is shown'>")
    for v in VERDICTS:
        out.append(
            "<label class=%s for=v-%s>%s %s %d</label>"
            % (_CLASSES[v], _CLASSES[v], _SIGNS[v], v, n[v])
        )
    out.append("</nav><main>")
    heading = None
    for r in results:
        if (r.profile, r.case.group) != heading:
            heading = r.profile, r.case.group
            title = GROUPS[r.case.group][0]
            over = "" if r.case.group == r.profile else " <small>over %s</small>" % r.profile
            out.append("<h2>%s%s</h2>" % (escaped(title[0].upper() + title[1:]), over))
        out.append(case(r, scrub, full))
    out.append("</main><p class=dim>Names with HDLC_, APPL_, COSEM_ and SYMSEC_ are those of the")
    out.append(
        " abstract test suites of the DLMS UA, their steps are this project's; so this is no"
    )
    out.append(" certificate. Names with PMT_ are this project's.</p></body></html>")
    return "\n".join(out) + "\n"


def escaped(text):
    return html.escape(str(text))


def tally(results):
    return {v: sum(r.verdict == v for r in results) for v in VERDICTS}


def outcome(n):
    return ", ".join("%d %s" % (n[v], v) for v in VERDICTS if n[v]) or "none"


# --- Charts ---------------------------------------------------------------------------------


def ring(n):
    """A ring of the verdicts of what was played."""
    n = {**n, INAPPLICABLE: 0}
    total = sum(n.values()) or 1
    round_ = 2 * math.pi * _RADIUS
    out = ["<svg width=150 height=150 viewBox='0 0 150 150' role=img aria-label='%s'>" % (
        outcome(n))]  # fmt: skip
    at = 0.0
    for v in VERDICTS:
        part = round_ * n[v] / total
        if part:
            out.append(
                "<circle class='ring %s' cx=75 cy=75 r=%d stroke-dasharray='%.2f %.2f'"
                " stroke-dashoffset='%.2f' transform='rotate(-90 75 75)'><title>%s %d</title>"
                "</circle>" % (_CLASSES[v], _RADIUS, part, round_ - part, -at, v, n[v])
            )
        at += part
    share = "%d %%" % (100 * n[PASS] // total)
    out.append("<text x=75 y=76 text-anchor=middle style='font-size:22px'>%s</text>" % share)
    out.append("<text x=75 y=94 text-anchor=middle>pass</text></svg>")
    return "".join(out)


def bars(results):
    """A bar a profile and group, with the cases and the time that they took."""
    rows = {}
    for r in results:
        rows.setdefault((r.profile, r.case.group), []).append(r)
    most = max((len(v) for v in rows.values()), default=1)
    out = []
    for (profile, group), mine in rows.items():
        n = tally(mine)
        parts = "".join(
            "<i class=%s style='width:%.2f%%' title='%s %d'></i>"
            % (_CLASSES[v], 100.0 * n[v] / most, v, n[v])
            for v in VERDICTS
            if n[v]
        )
        out.append(
            "<div class=row><span>%s</span><span class=bar role=img aria-label='%s'>%s</span>"
            "<span class=dim>%d · %.1f s</span></div>"
            % (where(profile, group), outcome(n), parts, len(mine), sum(r.seconds for r in mine))
        )
    return "".join(out)


def where(profile, group):
    return escaped(group if group == profile else "%s · %s" % (profile, group))


# --- A case ---------------------------------------------------------------------------------


def case(r, scrub, full):
    c = r.case
    mark = _CLASSES[r.verdict]
    out = [
        "<details class=v-%s><summary><b class=%s title='%s'>%s</b><span class=id>%s</span>"
        "<span class=t>%s</span><span class=why>%s</span><span class=s>%.2f s</span></summary>"
        "<div class=in>"
        % (
            mark, mark, r.verdict, _SIGNS[r.verdict], escaped(c.id), escaped(c.title),
            escaped(scrub.text(r.why)), r.seconds,
        ),
        "<p><b class=%s>%s</b> %s</p>" % (mark, r.verdict, escaped(scrub.text(r.why))),
        "<p class=dim>%s</p><p>%s</p>" % (escaped(c.reference), escaped(c.procedure)),
        "<p class=dim>Needs: %s.</p>" % ", ".join(NEEDS[n] for n in c.needs) if c.needs else "",
    ]  # fmt: skip
    shown, left_out = steps_of(r, full)
    with_plain = any(s.kind in ("asked", "answered") for s in r.steps)
    if shown:
        out.append("<table>")
        for s in shown:
            if s is None:
                out.append("<tr class=note><td><td><td>%d steps are left out</tr>" % left_out)
            else:
                out.append(step(s, r.profile, scrub, with_plain))
        out.append("</table>")
    out.append("</div></details>")
    return "".join(out)


def steps_of(r, full):
    """Steps to show, None where some are left out; how many those are."""
    n = len(r.steps)
    head, tail = _HEAD_STEPS, _TAIL_STEPS
    if r.verdict == FAIL:
        head, tail = 8, _FAILED_STEPS
    if full or n <= head + tail:
        return r.steps, 0
    return [*r.steps[:head], None, *r.steps[-tail:]], n - head - tail


def step(s, profile, scrub, with_plain):
    octets = scrub.octets(s.octets)
    cut = octets[:_MOST_OCTETS]
    shown = cut.hex(" ").upper()
    if len(octets) > len(cut):
        shown += " ... (%d octets)" % len(octets)
    text = scrub.text(s.text)
    if octets:
        hidden = type(s)(s.kind, octets, "", s.at)
        if profile == "optical" and s.kind in ("sent", "came"):
            text = explain.printable(bytes(o & 0x7F for o in octets))
        else:
            text = scrub.text(explain.of_step(hidden, profile, with_plain))
    return "<tr class=%s><td>%.3f<td>%s<td>%s%s</tr>" % (
        "note" if s.kind == "note" else "step", s.at, _KINDS[s.kind],
        "<div class=hex>%s</div>" % shown if shown else "",
        "<pre>%s</pre>" % escaped(text) if text else "",
    )  # fmt: skip
