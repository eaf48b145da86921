# SPDX-License-Identifier: MIT
"""Reads TOML and remembers on which line each value stands, so that an error can say where.

tomllib checks the syntax; the scanner below only finds lines, in text that is known to be right.

    include = "residential.toml"

of a definition stands for all that is in that file, beside it: what this one has comes behind it.
Lists are joined, tables too, key by key; anything else that both say is as this file says it.
"""

import os
import re
import tomllib


class TableError(Exception):
    """An error in a definition or class file, one line: `file:line: what; what was expected`."""

    def __init__(self, file, line, message):
        super().__init__("%s:%d: %s" % (file, line, message))
        self.file = file
        self.line = line
        self.message = message


class Document:
    """One TOML file: `data` as tomllib gives it; `error(path, text)` makes the TableError for a
    path of keys and indexes, taking the line of its longest known part. files: what it is of."""

    def __init__(self, text, file):
        self.file = file
        self.files = [file]
        try:
            self.data = tomllib.loads(text)
        except tomllib.TOMLDecodeError as e:
            found = re.search(r"\(at line (\d+), column \d+\)", str(e))
            line = int(found.group(1)) if found else text.count("\n") + 1
            what = re.sub(r" \(at .*\)$", "", str(e))
            raise TableError(file, line, "not TOML: %s; expected TOML 1.0" % what) from None
        self.places = {path: (file, n) for path, n in Scanner(text).scan().items()}

    def place(self, path):
        """(file, line) of a path, or of its longest known part."""
        path = tuple(path)
        while path and path not in self.places:
            path = path[:-1]
        return self.places.get(path, (self.file, 1))

    def error(self, path, message):
        return TableError(*self.place(path), message)

    def include(self, other):
        """Put all of another document in front."""
        self.files += other.files
        moved = {}
        for path, place in self.places.items():
            if len(path) > 1 and isinstance(path[1], int):
                path = (path[0], path[1] + len(other.data.get(path[0], ())), *path[2:])
            moved[path] = place
        self.places = {**other.places, **moved}
        data = dict(other.data)
        for key, value in self.data.items():
            old = data.get(key)
            if isinstance(value, list) and isinstance(old, list):
                value = old + value
            elif isinstance(value, dict) and isinstance(old, dict):
                value = {**old, **value}
            data[key] = value
        self.data = data


def read(file, outer=()):
    """Document of a file with what it includes; a file that cannot be read is a TableError too.
    outer: files that this one is included by."""
    document = _read(file)
    name = document.data.pop("include", None)
    if name is None:
        return document
    if not isinstance(name, str):
        raise document.error(("include",), "include is %r; expected the name of a file" % (name,))
    outer = (*outer, os.path.realpath(file))
    inner = os.path.join(os.path.dirname(str(file)), name)
    if os.path.realpath(inner) in outer:
        raise document.error(("include",), "%s includes itself; expected another file" % name)
    if not os.path.isfile(inner):
        raise document.error(("include",), "there is no file %s; expected a definition" % name)
    document.include(read(inner, outer))
    return document


def _read(file):
    try:
        with open(file, encoding="utf-8") as f:
            return Document(f.read(), str(file))
    except OSError as e:
        raise TableError(str(file), 0, "%s; expected a readable file" % e.strerror) from None
    except UnicodeDecodeError:
        raise TableError(str(file), 0, "not UTF-8; expected a TOML file") from None


class Scanner:
    """Walks TOML text and notes the line of every key, table and array element."""

    def __init__(self, text):
        self.text = text
        self.pos = 0
        self.lines = {}
        self.counts = {}  # path of an array of tables -> tables so far
        self.counted = 0, 1  # a place, and its line

    def scan(self):
        table = ()
        while self.blank():
            if self.text.startswith("[[", self.pos):
                self.pos += 2
                path = self.resolve(self.key()[:-1], self.last)
                n = self.counts[path] = self.counts.get(path, 0) + 1
                table = path + (n - 1,)
                self.note(path, keep=True)
                self.note(table)
                self.pos = self.text.index("]]", self.pos) + 2
            elif self.text[self.pos] == "[":
                self.pos += 1
                table = self.resolve(self.key()[:-1], self.last)
                self.note(table)
                self.pos = self.text.index("]", self.pos) + 1
            else:
                self.pair(table)
        return self.lines

    def note(self, path, keep=False):
        at, line = self.counted
        if self.pos >= at:
            line += self.text.count("\n", at, self.pos)
        else:
            line -= self.text.count("\n", self.pos, at)
        self.counted = self.pos, line
        if not (keep and path in self.lines):
            self.lines[path] = line

    def resolve(self, parts, last):
        path = ()
        for part in parts:
            path += (part,)
            if path in self.counts:
                path += (self.counts[path] - 1,)
        return path + (last,)

    def blank(self):
        """Over blanks, commas, newlines, and comments. False at the end."""
        found = re.compile(r"(?:[\s,]|#[^\n]*)*").match(self.text, self.pos)
        self.pos = found.end()
        return self.pos < len(self.text)

    def key(self):
        parts = []
        while True:
            self.blank()
            if self.text[self.pos] in "\"'":
                start = self.pos + 1
                self.string()
                parts.append(self.text[start : self.pos - 1])
            else:
                found = re.compile(r"[A-Za-z0-9_-]+").match(self.text, self.pos)
                parts.append(found.group())
                self.pos = found.end()
            found = re.compile(r"[ \t]*\.[ \t]*").match(self.text, self.pos)
            if not found:
                self.last = parts[-1]
                return tuple(parts)
            self.pos = found.end()

    def pair(self, table):
        self.blank()
        start = self.pos
        key = self.key()
        end, self.pos = self.pos, start
        for n in range(1, len(key) + 1):
            self.note(table + key[:n], keep=n < len(key))
        self.pos = self.text.index("=", end) + 1
        self.value(table + key)

    def value(self, path):
        self.blank()
        c = self.text[self.pos]
        if c == "[":
            self.pos += 1
            n = 0
            while self.blank() and self.text[self.pos] != "]":
                self.note(path + (n,))
                self.value(path + (n,))
                n += 1
            self.pos += 1
        elif c == "{":
            self.pos += 1
            while self.blank() and self.text[self.pos] != "}":
                self.pair(path)
            self.pos += 1
        elif c in "\"'":
            self.string()
        else:
            self.pos = re.compile(r"[^,\]}\n#]*").match(self.text, self.pos).end()

    def string(self):
        c = self.text[self.pos]
        quote = c * 3 if self.text.startswith(c * 3, self.pos) else c
        self.pos += len(quote)
        while not self.text.startswith(quote, self.pos):
            self.pos += 2 if c == '"' and self.text[self.pos] == "\\" else 1
        self.pos += len(quote)
