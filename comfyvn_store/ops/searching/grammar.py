"""The language of `search`: from one line of text to a tree of terms, or to what does not parse and where.

    query = any; any = all { "OR" all }; all = part { part }; part = [ "-" ] ( term | "(" any ")" )
    term = word | "phrase" | key ":" value | key ( "<" | "<=" | ">" | ">=" | "=" ) number

A value may stand in quotation marks, in which a backslash takes the meaning from a quotation mark and from itself. What a
value means is not known here, but in `matching`.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from comfyvn_store.errors import UsageError

TEXTS = (
    *("type", "tag", "license", "model", "lora", "image", "sampler", "scheduler", "source", "seed", "workflow"),
    *("author", "commit", "since", "before", "path"),
)
NUMBERS = ("size", "width", "height")
ALIASES = {"licence": "license", "after": "since", "until": "before"}
KEYS = (*TEXTS, *NUMBERS)
# What a person may write is bounded: a tree is walked by recursion, and each term is a question to the index.
LONGEST = 20_000
DEEPEST = 50

_KEY = re.compile(r"([A-Za-z_]+)(:|<=|>=|<|>|=)")
_SIGNS = ("<=", ">=", "<", ">", "=")


class BadQuery(UsageError):
    """A query that does not parse, or a value that means nothing; `at` is where, counted from 0."""

    slug = "bad-query"

    def __init__(self, message: str, query: str, at: int, *, hint: str | None = None) -> None:
        super().__init__(f"{message} (at character {at + 1} of the query)", hint=hint)
        self.query = query
        self.at = at


class Term(NamedTuple):
    """One thing to look for. `key` is None for words; `sign` is ":", or a comparison; `is_exact` that it was quoted."""

    key: str | None
    sign: str
    value: str
    is_exact: bool
    at: int


class Not(NamedTuple):
    """What does not match."""

    node: Node


class _Several:
    __slots__ = ("nodes",)

    def __init__(self, nodes: tuple[Node, ...]) -> None:
        self.nodes = nodes

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and isinstance(other, _Several) and self.nodes == other.nodes

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.nodes!r})"


class All(_Several):
    """What matches all of several."""


class Any(_Several):
    """What matches one of several."""


Node = Term | Not | All | Any


def parse(query: str) -> Node:
    """Parses a query. Raises BadQuery."""
    return _Parser(query).parse()


class _Parser:
    def __init__(self, query: str) -> None:
        self._query = query
        self._at = 0
        self._open: list[int] = []

    def parse(self) -> Node:
        if len(self._query) > LONGEST:
            raise self._bad(f"the query is longer than {LONGEST} characters", LONGEST)
        if not self._query.strip():
            raise self._bad("there is nothing to look for", 0)
        node = self._any()
        if self._at < len(self._query):
            raise self._bad("this bracket closes nothing", self._at, hint='put it in quotes to look for it: ")"')
        return node

    def _any(self) -> Node:
        nodes = [self._all()]
        while self._word() == "OR":
            start = self._at
            self._at += 2
            if self._is_over() or self._word() == "OR":
                raise self._bad("OR needs something behind it", start)
            nodes.append(self._all())
        return nodes[0] if len(nodes) == 1 else Any(tuple(nodes))

    def _all(self) -> Node:
        start = self._at
        nodes: list[Node] = []
        while not self._is_over() and self._word() != "OR":
            if self._word() == "AND":
                self._at += 3
                continue
            nodes.append(self._part())
        if not nodes:
            if self._word() == "OR":
                raise self._bad("OR needs something before it", self._at)
            raise self._bad("there is nothing to look for here", min(start, len(self._query) - 1))
        return nodes[0] if len(nodes) == 1 else All(tuple(nodes))

    def _part(self) -> Node:
        start = self._at
        if self._query[start] == "-":
            self._at += 1
            if self._at >= len(self._query) or self._query[self._at].isspace() or self._query[self._at] in "-)":
                raise self._bad("'-' leaves something out: it needs a term right behind it", start)
            return Not(self._part())
        if self._query[start] != "(":
            return self._term()
        self._open.append(start)
        if len(self._open) > DEEPEST:
            raise self._bad(f"brackets stand in one another more than {DEEPEST} times", start)
        self._at += 1
        node = self._any()
        if self._at >= len(self._query):
            raise self._bad("this bracket is never closed", self._open[-1])
        self._open.pop()
        self._at += 1
        return node

    def _term(self) -> Term:
        start = self._at
        found = _KEY.match(self._query, start)
        known = self._known(found) if found else None
        if not found or known is None:
            value, is_exact = self._value()
            return Term(None, ":", value, is_exact, start)
        key, sign = known
        self._at = found.end()
        if key in NUMBERS and sign == ":":
            sign = next((each for each in _SIGNS if self._query.startswith(each, self._at)), ":")
            self._at += len(sign) if sign != ":" else 0
        place = self._at
        value, is_exact = self._value()
        if not value:
            raise self._bad(f"'{key}{sign}' needs a value right behind it", place, hint=_EXAMPLES[key])
        return Term(key, sign, value, is_exact, start)

    def _known(self, found: re.Match[str]) -> tuple[str, str] | None:
        """Gives key and sign; None for a word with an equals sign in it. Raises BadQuery for a key that is none."""
        key, sign = found[1].lower(), found[2]
        key = ALIASES.get(key, key)
        if key in NUMBERS or (key in TEXTS and sign in (":", "=")):
            return key, ":" if sign == "=" and key in TEXTS else sign
        if key in TEXTS:
            raise self._bad(f"'{key}' cannot be compared with '{sign}'", found.start(), hint=_EXAMPLES[key])
        if sign == "=":
            return None
        import difflib

        close = difflib.get_close_matches(key, (*KEYS, *ALIASES), 1)
        meant = f"did you mean `{ALIASES.get(close[0], close[0])}:`? " if close else ""
        raise self._bad(
            f"there is no '{found[1]}{sign}'",
            found.start(),
            hint=f"{meant}what can stand before a colon: {', '.join(KEYS)}; words with a colon in them go in quotes",
        )

    def _value(self) -> tuple[str, bool]:
        query, start = self._query, self._at
        if start < len(query) and query[start] == '"':
            return self._quoted(), True
        end = start
        while end < len(query) and not query[end].isspace() and query[end] != '"' and not self._closes(end):
            end += 1
        self._at = end
        return query[start:end], False

    def _quoted(self) -> str:
        start = self._at
        found: list[str] = []
        at = start + 1
        while at < len(self._query):
            letter = self._query[at]
            if letter == '"':
                self._at = at + 1
                return "".join(found)
            if letter == "\\" and self._query[at + 1 : at + 2] in ('"', "\\"):
                at += 1
                letter = self._query[at]
            found.append(letter)
            at += 1
        raise self._bad("this quotation mark is never closed", start)

    def _closes(self, at: int) -> bool:
        return self._query[at] == ")" and bool(self._open)

    def _is_over(self) -> bool:
        """Skips white space; tells whether the query or the innermost bracket ends here."""
        while self._at < len(self._query) and self._query[self._at].isspace():
            self._at += 1
        return self._at >= len(self._query) or self._query[self._at] == ")"

    def _word(self) -> str:
        """Gives the operator that stands here, without going past it."""
        for word in ("OR", "AND"):
            end = self._at + len(word)
            if self._query.startswith(word, self._at) and (
                end == len(self._query) or self._query[end].isspace() or self._query[end] in "()"
            ):
                return word
        return ""

    def _bad(self, message: str, at: int, hint: str | None = None) -> BadQuery:
        return BadQuery(message, self._query, at, hint=hint)


_EXAMPLES = {
    "type": "type:characters",
    "tag": 'tag:heroine, tag:"main cast", tag:*',
    "license": "license:CC-BY-4.0; -license:* finds what has none",
    "model": "model:animagineXLV3, model:sdxl*",
    "lora": "lora:add_detail, lora:vn_*",
    "image": "image:sketch_01.png finds what loaded a picture of that name",
    "sampler": "sampler:euler_ancestral",
    "scheduler": "scheduler:karras",
    "source": "source:comfyui",
    "seed": "seed:1041",
    "workflow": "workflow:2469b5fb, the beginning of a workflow's hash",
    "author": "author:mika",
    "commit": "commit:HEAD, commit:v1.0..main",
    "since": 'since:2026-01-31, since:yesterday, since:"2 weeks ago"',
    "before": 'before:2026-01-31, before:yesterday, before:"2 weeks ago"',
    "path": "path:mira, path:characters/*.png",
    "size": "size>1M, size<=500k, size:1M..4M",
    "width": "width>=1024, width:832",
    "height": "height>=1024, height:1216",
}


def example(key: str) -> str:
    """Gives what may stand behind a key, for a hint."""
    return _EXAMPLES[key]
