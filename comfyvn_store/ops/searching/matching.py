"""Which assets match a query: each term is one question to the index, whose answer is a set of numbers; sets are combined here.

A number above 0 is an asset's `id`, one below 0 a record (`number`) that no asset has now.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence

from comfyvn_store.base import names
from comfyvn_store.errors import UnknownRevision
from comfyvn_store.index import ingredients
from comfyvn_store.index.ingredients import glob
from comfyvn_store.ops.searching import values
from comfyvn_store.ops.searching.grammar import All, Any, BadQuery, Node, Not, Term, example
from comfyvn_store.ops.session import Session
from comfyvn_store.vcs import history

_KINDS = {
    "model": (ingredients.MODEL, ingredients.REFINER, ingredients.OTHER),
    "lora": (ingredients.LORA,),
    "image": (ingredients.IMAGE,),
    "sampler": (ingredients.SAMPLER,),
    "scheduler": (ingredients.SCHEDULER,),
    "source": (ingredients.SOURCE,),
}
_PAST = "asset_id IS NULL"


class Matcher:
    """Answers the terms of one query; with `with_past` also for versions that no asset has now."""

    def __init__(self, session: Session, query: str, *, with_past: bool) -> None:
        self._session = session
        self._db = session.index.db
        self._query = query
        self._with_past = with_past
        # The most that words alone found: so much work it is to weigh them.
        self.hits = 0

    def match(self, node: Node) -> set[int]:
        """Gives what matches. Raises BadQuery for a value that means nothing."""
        if isinstance(node, Term):
            return self._term(node)
        if isinstance(node, Not):
            return self._everything() - self.match(node.node)
        if isinstance(node, Any):
            return set().union(*(self.match(each) for each in node.nodes))
        assert isinstance(node, All)
        words, others = split(node)
        refused = [each.node for each in others if isinstance(each, Not)]
        found: set[int] | None = self._words(" ".join(map(self._phrase, words))) if words else None
        for each in others:
            if not isinstance(each, Not):
                matched = self.match(each)
                found = matched if found is None else found & matched
        left = self._everything() if found is None else found
        for each in refused:
            left = left - self.match(each)
        return left

    def scores(self, node: Node) -> dict[int, float]:
        """Gives how well the words of a query match, less being better; {} if no words are asked for."""
        if isinstance(node, Term | All):
            words, _ = split(node)
            expression = " ".join(map(self._phrase, words))
        else:
            expression = " OR ".join(map(self._phrase, _positive(node)))
        if not expression:
            return {}
        rank = "bm25({0}, 5.0, 5.0, 1.0, 1.0, 2.0) FROM {0} WHERE {0} MATCH ?"
        found = dict(self._db.execute(f"SELECT rowid, {rank.format('assets_fts')}", (expression,)))
        if self._with_past:
            found.update(self._db.execute(f"SELECT -rowid, {rank.format('past_fts')}", (expression,)))
        return found

    # -- terms ---------------------------------------------------------------------------------------------------------

    def _term(self, term: Term) -> set[int]:
        key = term.key
        if key is None:
            return self._path_like(term.value) if _is_glob(term) else self._words(self._phrase(term))
        if key in _KINDS:
            return self._named(_KINDS[key], term.value)
        if key in ("tag", "license"):
            return self._labelled(key, term.value)
        if key in ("size", "width", "height"):
            return self._measured(term)
        if key in ("since", "before"):
            return self._timed(term)
        answers: dict[str, Callable[[str], set[int]]] = {
            "type": self._typed,
            "path": self._path,
            "workflow": self._workflow,
            "author": self._author,
        }
        if key == "seed":
            return self._seed(term)
        return self._commit(term) if key == "commit" else answers[key](term.value)

    def _everything(self) -> set[int]:
        return self._both("SELECT id FROM assets_registry", f"SELECT -number FROM provenance WHERE {_PAST}")

    def _words(self, expression: str) -> set[int]:
        found = self._both(
            "SELECT rowid FROM assets_fts WHERE assets_fts MATCH ?",
            "SELECT -rowid FROM past_fts WHERE past_fts MATCH ?",
            (expression,),
        )
        self.hits = max(self.hits, len(found))
        return found

    def _phrase(self, term: Term) -> str:
        """Gives a word as FTS5 takes it, its end left open unless it was quoted."""
        value = term.value.rstrip("*") if not term.is_exact else term.value
        if not any(map(str.isalnum, value)):
            hint = "words have letters or digits; tag:, path: and the like find other signs as well"
            raise BadQuery(f"there is no word in '{names.printable(term.value)}'", self._query, term.at, hint=hint)
        quoted = value.replace('"', '""').replace("\0", " ")
        return f'"{quoted}"' if term.is_exact else f'"{quoted}"*'

    def _named(self, kinds: Sequence[str], value: str) -> set[int]:
        found = ingredients.matching(self._db, kinds, value)
        return self._records(
            "SELECT record AS number FROM uses WHERE name IN (SELECT value FROM json_each(?))", _ids(found)
        )

    def _labelled(self, kind: str, value: str) -> set[int]:
        found = ingredients.matching(self._db, (kind,), value)
        query = "SELECT owner FROM labels WHERE name IN (SELECT value FROM json_each(?))"
        return self._ints(query if self._with_past else f"{query} AND owner > 0", (_ids(found),))

    def _typed(self, value: str) -> set[int]:
        like = glob(value)
        types = [row[0] for row in self._db.execute("SELECT DISTINCT type FROM assets_registry") if like(row[0])]
        found = self._ints(
            "SELECT id FROM assets_registry WHERE type IN (SELECT value FROM json_each(?))", (json.dumps(types),)
        )
        if self._with_past:
            rows = self._db.execute(f"SELECT number, path FROM provenance WHERE {_PAST}")
            found.update(-number for number, path in rows if like(names.asset_type(path)))
        return found

    def _path(self, value: str) -> set[int]:
        inside = value.removeprefix(f"{self._session.repository.root}/")
        return self._path_like(inside if "*" in inside else f"*{inside}*")

    def _path_like(self, pattern: str) -> set[int]:
        """Gives those whose path, or whose name, is like a pattern with `*` in it."""
        inside = pattern.removeprefix(f"{self._session.repository.root}/")
        if inside.isascii():
            for special in ("\\", "%", "_"):
                inside = inside.replace(special, f"\\{special}")
            like = inside.replace("*", "%")
            where = "(path LIKE ?1 ESCAPE '\\' OR path LIKE '%/' || ?1 ESCAPE '\\')"
            return self._both(
                f"SELECT id FROM assets_registry WHERE {where}",
                f"SELECT -number FROM provenance WHERE {_PAST} AND {where}",
                (like,),
            )
        like_whole, like_name = glob(inside), glob(f"*/{inside}")
        paths = list(self._db.execute("SELECT id, path FROM assets_registry"))
        if self._with_past:
            paths += self._db.execute(f"SELECT -number, path FROM provenance WHERE {_PAST}")
        return {number for number, path in paths if like_whole(path) or like_name(path)}

    def _seed(self, term: Term) -> set[int]:
        value = term.value
        if value == "*":
            return self._records("SELECT number FROM provenance WHERE seed IS NOT NULL")
        digits = value.removeprefix("-")
        if not digits.isascii() or not digits.isdigit():
            raise self._meaningless(term, "is no seed")
        if digits.isascii() and digits.isdigit():
            value = ("-" if value.startswith("-") else "") + (digits.lstrip("0") or "0")
        return self._records("SELECT number FROM provenance WHERE seed = ?", value)

    def _workflow(self, value: str) -> set[int]:
        start = value.lower().rstrip("*")
        query = "SELECT number FROM provenance WHERE workflow_hash >= ? AND workflow_hash < ?"
        return self._records(query, start, start + "g")

    def _author(self, value: str) -> set[int]:
        like = glob(value if "*" in value else f"*{value}*")
        rows = self._db.execute("SELECT hash, author FROM commits")
        return self._brought([hash_ for hash_, author in rows if like(author or "")])

    def _commit(self, term: Term) -> set[int]:
        try:
            commits = history.revision_commits(self._session.repository.git, term.value)
        except UnknownRevision as error:
            raise BadQuery(error.message, self._query, term.at, hint=error.hint) from None
        # What a shallow boundary brought is not known; told apart here, an index has all the rest of the answer.
        cut = frozenset((self._session.index.state("shallow") or "").split())
        came = (
            "FROM introductions i CROSS JOIN {} = i.record_id WHERE i.commit_hash IN (SELECT value FROM json_each(?))"
        )
        return self._both(
            f"SELECT a.id {came.format('assets_registry a ON a.provenance_id')}",
            f"SELECT -p.number {came.format('provenance p ON p.id')} AND p.{_PAST}",
            (json.dumps([commit for commit in commits if commit not in cut]),),
        )

    def _timed(self, term: Term) -> set[int]:
        """Gives what came since, or before, a time: with its commit or, where no commit is known, when it was recorded."""
        when = values.moment(self._session.repository.git, term.value)
        if when is None:
            raise self._meaningless(term, "is no date")
        sign = ">=" if term.key == "since" else "<"
        rows = self._db.execute(f"SELECT hash FROM commits WHERE committed_at {sign} ?", (when,))
        loose = f"SELECT number FROM provenance WHERE commit_hash IS NULL AND created_at {sign} ?"
        return self._brought([row[0] for row in rows]) | self._records(loose, when)

    def _measured(self, term: Term) -> set[int]:
        assert term.key is not None
        found = values.bounds(term.sign, term.value, is_size=term.key == "size")
        if found is None:
            raise self._meaningless(term, "is no size" if term.key == "size" else "is no number of pixels")
        column = "bytes" if term.key == "size" else term.key
        past = column if column == "bytes" else f"json_extract(media, '$.{column}')"
        return self._both(
            f"SELECT id FROM assets_registry WHERE {column} BETWEEN ? AND ?",
            f"SELECT -number FROM provenance WHERE {_PAST} AND {past} BETWEEN ? AND ?",
            found,
        )

    def _meaningless(self, term: Term, what: str) -> BadQuery:
        assert term.key is not None
        message = f"'{names.printable(term.value)}' {what}"
        return BadQuery(message, self._query, term.at, hint=f"for example: {example(term.key)}")

    # -- questions -----------------------------------------------------------------------------------------------------

    def _brought(self, commits: list[str]) -> set[int]:
        query = "SELECT number FROM provenance WHERE commit_hash IN (SELECT value FROM json_each(?))"
        return self._records(query, json.dumps(commits))

    def _records(self, query: str, *given: str) -> set[int]:
        """Gives the assets that have one of the records whose `number` a question finds, and those records that none has."""
        # Joins in this order need no set of all the numbers first: a third of the time.
        return self._both(
            f"SELECT a.id FROM ({query}) q CROSS JOIN assets_registry a ON a.record = q.number",
            f"SELECT -p.number FROM ({query}) q CROSS JOIN provenance p ON p.number = q.number WHERE p.{_PAST}",
            given,
        )

    def _both(self, assets: str, past: str, given: Sequence[str | int] = ()) -> set[int]:
        found = self._ints(assets, given)
        return found | self._ints(past, given) if self._with_past else found

    def _ints(self, query: str, given: Sequence[str | int]) -> set[int]:
        # One text with all of them takes half the time that a row for each takes.
        whole = self._db.execute(f"WITH found(n) AS ({query}) SELECT json_group_array(n) FROM found", given)
        return set(json.loads(whole.fetchone()[0]))


def split(node: Node) -> tuple[list[Term], list[Node]]:
    """Takes the words that all must match, which are one question, from the other parts of a query."""
    nodes: Iterable[Node] = node.nodes if isinstance(node, All) else (node,)
    words: list[Term] = []
    others: list[Node] = []
    for each in nodes:
        if isinstance(each, Term) and each.key is None and not _is_glob(each):
            words.append(each)
        else:
            others.append(each)
    return words, others


def _is_glob(term: Term) -> bool:
    return not term.is_exact and "*" in term.value.rstrip("*")


def _positive(node: Node) -> list[Term]:
    if isinstance(node, Term):
        return split(node)[0]
    return [] if isinstance(node, Not) else [word for each in node.nodes for word in _positive(each)]


def _ids(found: Iterable[ingredients.Named]) -> str:
    return json.dumps([each.id for each in found])
