# SPDX-License-Identifier: MIT
"""Puts the page together: styles and scripts of page/ in one document, and its policy.

The scripts share one scope, in this order. The Content-Security-Policy names their digest: nothing
else runs, and nothing is fetched but from where the page came from.
"""

import base64
import hashlib
import os

_HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "page")
_STYLES = ("uplot.min.css", "page.css")
_SCRIPTS = ("uplot.min.js", "core.js", "meter.js", "chart.js", "talk.js", "log.js")


def _read(name):
    with open(os.path.join(_HERE, name), encoding="utf-8") as f:
        return f.read()


def _digest(text):
    return "'sha256-%s'" % base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def bundle(token):
    """(the document, its Content-Security-Policy)"""
    style = "\n".join(map(_read, _STYLES))
    script = "\n".join(map(_read, _SCRIPTS))
    page = _read("page.html")
    for mark, text in (("style", style), ("script", script), ("token", token)):
        page = page.replace("{{%s}}" % mark, text)
    policy = (
        "default-src 'none'; script-src %s; style-src %s; img-src data:; connect-src 'self';"
        " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return page, policy % (_digest(script), _digest(style))
