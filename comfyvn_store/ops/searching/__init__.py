"""`search`: one line of text finds assets: by words, and by what is known of them; the best ones first."""

from __future__ import annotations

import itertools
import json
from typing import Any, NamedTuple

from comfyvn_store.index import questions
from comfyvn_store.ops.searching import grammar
from comfyvn_store.ops.searching.grammar import Node
from comfyvn_store.ops.searching.matching import Matcher
from comfyvn_store.ops.session import Session

BEST, NEWEST, OLDEST, PATH, LARGEST, SMALLEST = "best", "newest", "oldest", "path", "largest", "smallest"
ORDERS = (BEST, NEWEST, OLDEST, PATH, LARGEST, SMALLEST)
# How assets, and how records that no asset has, are sorted.
_SORTING = {
    NEWEST: ("a.provenance_id DESC, a.path", "p.id DESC"),
    OLDEST: ("a.provenance_id, a.path", "p.id"),
    PATH: ("a.path", "p.path, p.id DESC"),
    LARGEST: ("a.bytes DESC, a.path", "p.bytes DESC, p.id DESC"),
    SMALLEST: ("a.bytes, a.path", "p.bytes, p.id DESC"),
}
# If more have the words, these tell little between them, and weighing all of them takes the longest: the newest come first.
MOST_RANKED = 20_000
_MANY = 2000


class Results(NamedTuple):
    """What a query found: how many match, and the records of the first ones."""

    total: int
    past: int
    found: list[dict[str, Any]]


def search(session: Session, query: str, *, limit: int = 50, order: str = BEST, with_past: bool = False) -> Results:
    """Gives what matches a query (`grammar`): the best first, of equals the newest, and last versions that no asset has now.

    Raises BadQuery, which says where the query means nothing.
    """
    node = grammar.parse(query)
    matcher = Matcher(session, query, with_past=with_past)
    matched = matcher.match(node)
    assets = {number for number in matched if number > 0} if with_past else matched
    past = {-number for number in matched if number < 0} if with_past else set()
    scores: dict[int, float] = {}
    if order == BEST and matcher.hits <= MOST_RANKED:
        scores = matcher.scores(node)
    order = NEWEST if order == BEST else order
    chosen = _first(session, assets, scores, order, limit)
    rest = limit - len(chosen)
    older = _first(session, past, {-number: score for number, score in scores.items()}, order, rest, is_past=True)
    found = [{**item, "current": True} for item in questions.assets_by_id(session.index, session.repository, chosen)]
    found += [
        {**item, "meta": None, "current": False} for item in questions.past(session.index, session.repository, older)
    ]
    return Results(len(matched), len(past), found)


def _first(
    session: Session, ids: set[int], scores: dict[int, float], order: str, limit: int, *, is_past: bool = False
) -> list[int]:
    """Gives the first of some assets, or records, in an order; those with a score by that first of all."""
    if not ids or limit <= 0:
        return []
    place = {id_: score for id_, score in scores.items() if id_ in ids}
    if place:
        # The worst score that is among the first ones; whoever has it, or a better one, is sorted.
        edge = sorted(place.values())[min(limit, len(place)) - 1]
        best = {id_ for id_, score in place.items() if score <= edge}
        sorted_ids = sorted(_sorted(session, best, order, len(best), is_past), key=place.__getitem__)
        return (sorted_ids + _first(session, ids - place.keys(), {}, order, limit - len(sorted_ids), is_past=is_past))[
            :limit
        ]
    return _sorted(session, ids, order, limit, is_past)


def _sorted(session: Session, ids: set[int], order: str, limit: int, is_past: bool) -> list[int]:
    """Gives the first of some assets, or records, in an order: few are sorted, many are met on a walk in that order."""
    assets, past = _SORTING[order]
    table, key, by = ("provenance p", "p.number", past) if is_past else ("assets_registry a", "a.id", assets)
    if len(ids) > _MANY > limit:
        walk = session.index.db.execute(f"SELECT {key} FROM {table} ORDER BY {by}")
        return list(itertools.islice((id_ for (id_,) in walk if id_ in ids), limit))
    rows = session.index.db.execute(
        f"SELECT {key} FROM json_each(?) JOIN {table} ON {key} = value ORDER BY {by} LIMIT ?",
        (json.dumps(list(ids)), limit),
    )
    return [row[0] for row in rows]


__all__ = ["BEST", "ORDERS", "Node", "Results", "search"]
