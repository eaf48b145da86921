# SPDX-License-Identifier: MIT
"""Results in the form that JUnit gave continuous integration: a test suite a profile and group.
What is inconclusive or not applicable counts as skipped, and says which of the two it is."""

import re
import xml.etree.ElementTree as ElementTree

from .case import FAIL, INAPPLICABLE, INCONCLUSIVE

_NO_XML = re.compile("[^\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def xml(results, scrub):
    suites = {}
    for r in results:
        suites.setdefault((r.profile, r.case.group), []).append(r)
    root = ElementTree.Element("testsuites", counts(results))
    for (profile, group), mine in suites.items():
        name = "%s.%s" % (profile, group)
        suite = ElementTree.SubElement(root, "testsuite", {"name": name, **counts(mine)})
        for r in mine:
            case = ElementTree.SubElement(
                suite, "testcase",
                {"classname": name, "name": clean("%s %s" % (r.case.id, r.case.title)),
                 "time": "%.3f" % r.seconds},
            )  # fmt: skip
            why = clean(scrub.text(r.why))
            if r.verdict == FAIL:
                ElementTree.SubElement(case, "failure", {"message": why, "type": FAIL})
            elif r.verdict in (INCONCLUSIVE, INAPPLICABLE):
                ElementTree.SubElement(case, "skipped", {"message": "%s: %s" % (r.verdict, why)})
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n%s\n' % ElementTree.tostring(root, "unicode")


def counts(results):
    return {
        "tests": str(len(results)),
        "errors": "0",
        "failures": str(sum(r.verdict == FAIL for r in results)),
        "skipped": str(sum(r.verdict in (INCONCLUSIVE, INAPPLICABLE) for r in results)),
        "time": "%.3f" % sum(r.seconds for r in results),
    }


def clean(text):
    """Without characters that XML cannot hold."""
    return _NO_XML.sub("?", text)
