# SPDX-License-Identifier: MIT
"""The live page of a meter: what its feed says (tools/feeds), shown in browsers as it happens.

    child.py        what tools/meter.py knows of it: starts the process, hands the feed on
    source.py       a descriptor with a feed behind it: that socket, or the port of a board
    facts.py        what the definition says of the meter: names, units, values, profiles
    watcher.py      events of the feed, and answers to its commands, made into state and lines
    backlog.py      what waits to be decoded; who is behind leaves out the oldest
    talk.py         octets of a link, decoded into lines; trees.py: into trees. No secret gets out
    event_names.py, plain.py    names of events; values as Python has them
    hub.py          what each browser has not seen yet; a slow one misses lines, and is told
    server.py       the page, its WebSocket, and who may use them
    bundle.py       page/ put together into one document without outside addresses

It runs in a process of its own, tools/page.py: neither a browser nor decoding ever keeps the meter
or what relays it. tools/page_bench.py says what it costs. page/ has plain scripts and styles that
share one scope, and uPlot 1.6.32 (MIT, uplot.LICENSE) as its authors have packed it.
"""
