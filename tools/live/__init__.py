# SPDX-License-Identifier: MIT
"""The live page of a meter: what its feed says (tools/feed.py), shown in browsers as it happens.

    facts.py     what the definition says of the meter: names, units, registers, profiles
    watcher.py   events of the feed and answers to its commands, made into state and lines
    talk.py      octets of a link, decoded into lines and trees, without secrets
    hub.py       what each browser has not seen yet; a slow one misses lines and is told how many
    server.py    the page, its WebSocket, and who may use them
    bundle.py    page/ put together into one document without outside addresses
    source.py    a descriptor with a feed behind it

It runs in a process of its own (tools/page.py): neither a browser nor decoding ever keeps the
meter or what relays it.
"""
