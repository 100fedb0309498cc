"""The report as Markdown, CSV or JSON, and into a file. Whatever a file says of itself cannot become markup or a formula."""

from __future__ import annotations

import csv
import io
import json
import os
import re
from collections.abc import Iterable, Iterator, Sequence

from comfyvn_store.base import files, names
from comfyvn_store.errors import Refused, from_os_error
from comfyvn_store.ops.disclosing import Report
from comfyvn_store.ops.disclosing.judging import INFERRED, Disclosed

MARKDOWN, JSON, CSV = "markdown", "json", "csv"
FORMATS = (MARKDOWN, JSON, CSV)
COLUMNS = (
    *("path", "sha256", "bytes", "media_type", "generated", "basis", "how", "program", "model", "refiner", "loras"),
    *("license", "author", "edited_by", "commit", "file_says_author", "file_says_copyright", "file_says_license"),
    *("file_says_software", "c2pa", "not_known"),
)
_TITLE = "# What ships in "
# By what a report of before is told from any other file.
_BEGINNINGS = (_TITLE.encode(), ",".join(COLUMNS).encode(), b'{\n  "revision": ')
# What begins a formula in a spreadsheet (OWASP, CSV injection).
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
_MARKUP = re.compile(r"([\\`*_{}\[\]<>|~#!&])")
_GENERATED = {True: "yes", False: "no", None: "not stated"}


def text(report: Report, form: str) -> str:
    """Gives the report in one of the `FORMATS`."""
    if form == JSON:
        return json.dumps(report.as_dict(), ensure_ascii=False, indent=2) + "\n"
    return _csv(report) if form == CSV else "\n".join(_markdown(report)) + "\n"


def write(place: str, data: bytes) -> None:
    """Writes the report to a file that is not there yet, or that is a report of before. Raises Refused, MachineError."""
    try:
        if os.path.lexists(place):
            is_file = os.path.isfile(place) and not os.path.islink(place)
            if not is_file or not _begins_as_ours(place):
                raise Refused(
                    f"'{names.printable(place)}' is there and is no report",
                    hint="name another file, or remove that one",
                )
        files.write_atomic(place, data)
    except OSError as error:
        raise from_os_error(error, f"write '{names.printable(place)}'") from error


def _begins_as_ours(place: str) -> bool:
    with open(place, "rb") as stream:
        head = stream.read(max(map(len, _BEGINNINGS)))
    return not head or any(head.startswith(each) for each in _BEGINNINGS)


# -- CSV -----------------------------------------------------------------------------------------------------------


def _csv(report: Report) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for each in report.assets:
        writer.writerow(map(_cell, _values(each)))
    return stream.getvalue()


def _values(each: Disclosed) -> Sequence[str]:
    return (
        each.path,
        each.hash or "",
        "" if each.bytes is None else str(each.bytes),
        each.mime or "",
        _GENERATED[each.generated],
        each.basis or "",
        each.how or "",
        each.program or "",
        each.model or "",
        each.refiner or "",
        "; ".join(_loras(each)),
        each.license or "",
        _name(each.author),
        "; ".join(map(_name, each.edited_by)),
        each.commit or "",
        *(str(each.says.get(key, "")) for key in ("author", "copyright", "license", "software")),
        _c2pa(each),
        "; ".join(each.unknown),
    )


def _cell(value: str) -> str:
    """Gives a cell that no spreadsheet takes for a formula: one that would be begins with an apostrophe."""
    clean = names.printable(" ".join(value.split("\n")))
    return f"'{clean}" if clean.startswith(_FORMULA) or value.startswith(_FORMULA) else clean


# -- Markdown ------------------------------------------------------------------------------------------------------


def _markdown(report: Report) -> Iterator[str]:
    counts = report.counts()
    inferred: dict[str, int] = {}
    for each in report.assets:
        if each.basis == INFERRED:
            word = _GENERATED[each.generated]
            inferred[word] = inferred.get(word, 0) + 1
    generated = ", ".join(
        f"{word}: {number}" + (f" ({inferred[word]} of them inferred)" if word in inferred else "")
        for word, number in counts["generated"].items()
    )
    yield f"{_TITLE}{_plain(report.revision)}"
    yield ""
    yield f"- commit: {report.commit} ({(report.committed_at or '')[:10]})"
    yield f"- assets: {len(report.assets)}"
    yield f"- generated: {generated or 'none'}"
    yield f"- something is not known of: {len(report.unknown)}"
    if report.others:
        yield f"- other files below the assets root, of which nothing is said here: {report.others}"
    if inferred:
        yield "- what is inferred counts below, too: those assets say so in their row"
    for title, key, none in (
        ("Licences", "license", "none given"),
        ("Models", "model", ""),
        ("LoRAs", "lora", ""),
        ("Programs", "program", ""),
        ("Authors", "author", "not known"),
    ):
        yield from _counts(title, counts[key], none, is_person=key == "author")
    yield from _table(
        "Assets",
        ("asset", "generated", "made with", "licence", "author", "edited by", "the file says"),
        (_row(each) for each in report.assets),
    )
    yield from _table(
        "Not known", ("asset", "what"), ((_plain(each.path), ", ".join(each.unknown)) for each in report.unknown)
    )


def _counts(title: str, found: dict[str, int], none: str, *, is_person: bool) -> Iterator[str]:
    by_word: dict[str, int] = {}
    for word, number in found.items():
        shown = _plain(_name(word) if is_person else word) if word else f"*{none}*"
        by_word[shown] = by_word.get(shown, 0) + number
    yield from _table(title, (title.lower(), "assets"), ((word, str(number)) for word, number in by_word.items()))


def _table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    listed = list(rows)
    if not listed:
        return
    yield from ("", f"## {title}", "", f"| {' | '.join(columns)} |", "|" + "---|" * len(columns))
    for row in listed:
        yield f"| {' | '.join(row)} |"


def _row(each: Disclosed) -> Sequence[str]:
    generated = _GENERATED[each.generated]
    if each.how:
        generated += f" ({'inferred, ' if each.basis == INFERRED else ''}{each.how})"
    made = [each.program, each.model, each.refiner, *_loras(each)]
    says = [
        f"{key}: {value}" for key, value in each.says.items() if key in ("author", "copyright", "license", "software")
    ]
    if each.c2pa:
        says.append(f"C2PA: {_c2pa(each)}")
    return (
        _plain(each.path),
        generated,
        _plain(", ".join(filter(None, made))),
        _plain(each.license or ""),
        _plain(_name(each.author)),
        _plain(", ".join(map(_name, each.edited_by))),
        _plain("; ".join(says)),
    )


def _plain(value: str) -> str:
    """Gives text that Markdown shows as it is."""
    clean = names.printable(" ".join(value.split()))
    return _MARKUP.sub(r"\\\1", clean).replace("://", ":\\//")


def _loras(each: Disclosed) -> list[str]:
    found = []
    for lora in each.loras:
        strength = lora["strength"]
        found.append((lora["name"] or "?") + (f" {strength:g}" if strength is not None else ""))
    return found


def _name(person: str | None) -> str:
    """Gives the name out of `Name <address>`: addresses are not for a report that goes with a game."""
    return (person or "").rpartition(" <")[0] or (person or "")


def _c2pa(each: Disclosed) -> str:
    if not each.c2pa:
        return ""
    kinds = each.c2pa.get("source_types")
    words = [each.c2pa.get("generator"), ", ".join(map(str, kinds)) if isinstance(kinds, list) else None]
    return "; ".join([*(str(word) for word in words if word), "signature not checked"])
