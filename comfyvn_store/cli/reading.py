"""`list`, `show`, `provenance`, `read`, `status`, `db`: what only reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from comfyvn_store.cli import output
from comfyvn_store.cli.declaring import PATH, Range, argument, command, option
from comfyvn_store.cli.output import count

_json = option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")


@command("list", short_help="list assets")
@option("--type", "type_", metavar="T", help="Only this type.")
@option("--tag", "tags", metavar="T", multiple=True, help="Only with this tag; several must all be there.")
@option("--license", "license_", metavar="L", help="Only with this licence.")
@option("--text", metavar="WORDS", help="Only with these words in name, tags, licence, prompts or models.")
@option("--limit", metavar="N", type=Range(0, 1 << 62), help="At most so many.")
@_json
def list_command(
    type_: str | None,
    tags: tuple[str, ...],
    license_: str | None,
    text: str | None,
    limit: int | None,
    as_json: bool,
) -> None:
    """List assets, one a line: id, size, generator, path."""
    from comfyvn_store.index import questions
    from comfyvn_store.ops.session import open_session

    output.require_text(*filter(None, (type_, license_, text)), *tags)
    with open_session() as session:
        output.notes(session.notes)
        found = list(
            questions.assets(
                session.index, session.repository, type_=type_, tags=tags, license_=license_, text=text, limit=limit
            )
        )
    if as_json:
        output.as_json(found)
        return
    output.table([list_row(item) for item in found])
    if not found:
        output.line("no assets" if not (type_ or tags or license_ or text) else "no asset matches")


def list_row(item: Mapping[str, Any]) -> tuple[str, ...]:
    """Gives one asset as a row of a list: id, pixels or length, size, generator, path."""
    record = item["provenance"] or {}
    state = "" if item["present"] else output.bad("missing ")
    return (
        item["uid"],
        _pixels(item),
        output.size(item["bytes"]),
        _short(record.get("source") or "-"),
        state + output.path(item["view"]),
    )


@command("show", short_help="show one asset")
@argument("name", metavar="PATH|UID|REV:PATH", type=PATH)
@_json
def show_command(name: str, as_json: bool) -> None:
    """Show one asset: what it is, how it was made, which commit brought it.

    Name it by path, by uid, by the beginning of its hash, or as it was in a revision: HEAD~2:assets/characters/alice.png
    """
    from comfyvn_store.index import questions
    from comfyvn_store.ops import cutoff, inference, naming
    from comfyvn_store.ops.session import open_session

    with open_session() as session:
        output.notes(session.notes)
        item = dict(naming.version(session, name).record)
        inference.add_to_asset(session, item)
        lines = questions.commit_lines(session.index, filter(None, [item["commit"]]))
        older = questions.older_than_history(session.index, filter(None, [(item["provenance"] or {}).get("id")]))
        is_cut = bool(item["present"]) and cutoff.is_cut_short(session.repository, item["hash"], item["bytes"])
        if is_cut or (item["present"] and not session.repository.store.is_sound(item["hash"])):
            what = "the bytes are cut short" if is_cut else "something wrote through the link"
            item.setdefault("problem", f"damaged: {what}; `comfyvn-store recover` mends it")
        why = questions.preview_failure(session.index, item["hash"])
    if as_json:
        output.as_json(item)
        return
    _show(item, lines, older, why)


def _show(
    item: dict[str, Any], lines: dict[str, tuple[str, str, str]], older: set[str], no_preview: str | None
) -> None:
    rows = [
        ("hash", item["hash"]),
        (
            "media",
            ", ".join(
                filter(None, [_short(item["media"].get("mime") or ""), _pixels(item, ""), output.size(item["bytes"])])
            ),
        ),
        ("tags", _short(", ".join(item["tags"])) or "-"),
        ("license", _short(item["license"] or "-")),
    ]
    rows += [(f"meta {_short(key)}", _short(value)) for key, value in item["meta"].items()]
    rows.append(("preview", item["thumb"] or (_missing_preview(no_preview) if item["preview"] else "-")))
    if not item["present"]:
        rows.append(("object", output.bad("not in the store")))
    if item.get("problem"):
        rows.append(("problem", output.bad(_short(item["problem"]))))
    output.line(output.strong(output.path(item["view"])) + f"  {item['uid']}")
    output.table(rows, indent="  ")
    record = item["provenance"]
    if record is None:
        output.line("  provenance not known yet; it comes with the next commit of art")
        return
    output.line("  provenance")
    output.table(record_rows(record, lines.get(item["commit"] or ""), older), indent="    ")
    output.table(inferred_rows(item.get("inferred")), indent="    ")


def _missing_preview(why: str | None) -> str:
    return f"none: {_short(why)}" if why else "not made yet; comfyvn-store previews makes it"


@command("provenance", short_help="where art came from: by asset, by commit, or all")
@argument("name", metavar="[PATH|UID]", required=False, type=PATH)
@option("--commit", "revision", metavar="REV", help="What a commit (or a range A..B) brought.")
@_json
def provenance_command(name: str | None, revision: str | None, as_json: bool) -> None:
    """Print the ledger, newest first: of one asset (all its versions), of a commit or range, or all of it."""
    from comfyvn_store.index import questions
    from comfyvn_store.ops import inference, provenance
    from comfyvn_store.ops.session import open_session

    with open_session() as session:
        output.notes(session.notes)
        found = provenance.provenance(session, name, revision)
        inference.add(session, found)
        lines = questions.commit_lines(session.index, filter(None, (item["commit"] for item in found)))
        older = questions.older_than_history(session.index, (item["id"] for item in found))
    if as_json:
        output.as_json(found)
        return
    if not found:
        output.line(_nothing(name, revision))
    for number, item in enumerate(found):
        if number:
            output.line()
        output.line(f"{output.strong(output.path(session.repository.full(item['path'])))}  {item['uid']}")
        output.table(record_rows(item, lines.get(item["commit"] or ""), older), indent="    ")
        output.table(inferred_rows(item.get("inferred")), indent="    ")


def _nothing(name: str | None, revision: str | None) -> str:
    if revision is None:
        return "nothing recorded yet"
    return "no new art in that commit" if name is None else f"no new version of '{output.path(name)}' in that commit"


def inferred_rows(inferred: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    """Gives the lines that say what a version inherits from one before it, each as inferred."""
    if inferred is None:
        return []
    origin = inferred["from"]
    where = f"inferred from {origin['path']} {origin['hash'][:16]}, distance {inferred['distance']:.2f}"
    rows = [("origin", where), ("source", inferred["source"] or "unknown")]
    if inferred["workflow_hash"]:
        rows.append(("workflow", inferred["workflow_hash"][:16]))
    rows = [(key, _short(value)) for key, value in rows] + _input_rows(inferred["inputs"])
    return [(f"inferred {key}" if key != "origin" else key, value) for key, value in rows]


def record_rows(
    record: Mapping[str, Any], commit: tuple[str, str, str] | None, older: set[str]
) -> list[tuple[str, str]]:
    """Gives the lines that show a provenance record."""
    none = "unknown (older than this shallow clone)" if record["id"] in older else "not committed"
    rows = [("commit", output.commit(record.get("commit"), none) + (f"  {_short(commit[2])}" if commit else ""))]
    if commit:
        rows.append(("author", f"{commit[0]}, {commit[1]}"))
    rows.append(("source", record.get("source") or "unknown"))
    if record.get("user"):
        rows.append(("user", str(record["user"])))
    if record.get("workflow_hash"):
        rows.append(("workflow", record["workflow_hash"][:16]))
    rows = [rows[0], *((key, _short(value)) for key, value in rows[1:])]
    rows += _input_rows(record.get("inputs") or {})
    rows += _stated_rows(record.get("embedded"))
    rows.append(("created", _short(record.get("created_at") or "unknown")))
    if record.get("parent"):
        rows.append(("replaces", _short(record["parent"][:16])))
    return rows


def _input_rows(inputs: Mapping[str, Any]) -> list[tuple[str, str]]:
    rows = []
    for key, value in inputs.items():
        if value in (None, [], ""):
            continue
        if key == "loras" and isinstance(value, list):
            value = ", ".join(f"{_part(item, 'name')} {_part(item, 'strength')}" for item in value)
        elif isinstance(value, list):
            value = ", ".join(str(item) for item in value)
        rows.append((_short(key), _whole(repr(round(value, 10)) if isinstance(value, float) else value)))
    return rows


def _stated_rows(embedded: Any) -> list[tuple[str, str]]:
    """What the file states of itself, each word as the file's and nobody else's."""
    rows = []
    for key, value in embedded.items() if isinstance(embedded, dict) else ():
        parts = value.items() if isinstance(value, dict) else [("", value)]
        for name, part in parts:
            text = ", ".join(map(str, part)) if isinstance(part, list) else part
            rows.append((f"file says {_short(f'{key} {name}'.rstrip())}", _whole(text)))
    return rows


@command("read", short_help="print what a file says of itself")
@argument("name", metavar="FILE|PATH|UID|REV:PATH", type=PATH)
@option("--verify", is_flag=True, help="Check the signature of a C2PA manifest (needs the extra 'c2pa').")
@_json
def read_command(name: str, verify: bool, as_json: bool) -> int:
    """Print what a file says of itself: what it is, what generated it, author, licence, program and date as it states them.

    Any file will do, in a repository or not; an asset goes by path, uid or revision, too. Readers of other packages are asked
    as well as the built-in ones. With --verify it ends with 1 if a signature does not hold.
    """
    from comfyvn_store.ops import credentials, reading

    found = reading.read(name, verify=verify)
    status = 1 if found.signature is not None and found.signature.startswith(credentials.BROKEN) else 0
    if as_json:
        output.as_json(found.as_dict())
        return status
    rows = [(_short(key), _short(value)) for key, value in found.media.items()]
    rows.append(("source", found.source or "unknown"))
    rows += [("workflow", found.workflow_hash[:16])] if found.workflow_hash else []
    rows += _input_rows(found.inputs)
    rows += _stated_rows(found.embedded)
    if found.signature is not None:
        rows.append(("signature", output.bad(found.signature) if status else found.signature))
    if found.marker is not None:
        rows.append(("marker", f"valid; before it was marked this was {found.marker[:16]} (comfyvn-store strip)"))
    output.table(rows)
    return status


def _part(item: Any, key: str) -> str:
    return str(item.get(key)) if isinstance(item, dict) else str(item)


def _short(value: Any) -> str:
    return _line(value, 100)


def _whole(value: Any) -> str:
    """Gives all of a prompt, unless it is one that would fill the screen: `--json` prints that."""
    return _line(value, 2000)


def _line(value: Any, longest: int) -> str:
    text = " ".join(output.path(str(value).replace("\n", " ")).split())
    return text if len(text) <= longest else text[: longest - 3] + "..."


@command("status", short_help="what needs attention")
@_json
def status_command(as_json: bool) -> None:
    """Show how the art is: staged, edited, new, missing, damaged. Always ends with 0; look at --json in scripts."""
    from comfyvn_store.base import pointers
    from comfyvn_store.ops import status
    from comfyvn_store.ops.session import open_session

    with open_session() as session:
        output.notes(session.notes)
        found = status.status(session)
    if as_json:
        output.as_json(found.as_dict())
        return
    output.line(f"{count(found.assets, 'asset')}, {output.size(found.objects_bytes)} in {found.store}")
    sections = (
        (
            "in conflict",
            found.conflicts,
            "comfyvn-store conflicts shows both sides, comfyvn-store resolve settles them",
        ),
        ("staged, to be committed", found.staged, "now: git commit"),
        ("edited, not staged", found.edited, "git add takes the new version in; git checkout -- gives it up"),
        ("not in git yet", found.untracked, "git add them, or leave them"),
        ("deleted, not staged", found.vanished, "git rm, or bring back with git checkout --"),
        (
            "ordinary files in git still",
            found.unflipped,
            "the next commit of art makes them links",
        ),
        ("in git as ordinary files, not in the store", found.raw, f"git add --renormalize {found.assets_root}"),
        *(
            (
                f"kept by {name}",
                [path for path, other in found.foreign if other == program],
                f"comfyvn-store migrate {program} takes them over",
            )
            for program, name in pointers.PROGRAMS.items()
        ),
        (
            "bytes not in the store",
            found.missing,
            "comfyvn-store pull fetches them",
        ),
        (
            "damaged: something wrote through the link",
            [path for path in found.damaged if path not in found.cut],
            "comfyvn-store recover keeps what it wrote and looks for the old bytes",
        ),
        (
            "damaged: the bytes are cut short",
            found.cut,
            "comfyvn-store recover brings them back, as does comfyvn-store fsck --repair where nobody wrote; "
            "what is left is kept",
        ),
    )
    clean = True
    for title, paths, hint in sections:
        if paths:
            clean = False
            _section(title, [(output.path(path),) for path in paths], hint)
    if found.locked:
        clean = False
        _section(
            "locked by others",
            [(output.path(path), by) for path, by in found.locked],
            "ask them first; comfyvn-store locks lists all",
        )
    if found.problems:
        clean = False
        _section(
            "sidecars",
            [(output.path(path), _short(reason)) for path, reason in found.problems],
            "mend them in an editor, or take an older one: git checkout COMMIT -- FILE",
        )
    if found.preview_failures:
        grouped = _grouped(found.preview_failures)
        _section(
            "without a preview",
            [(output.path(path), _short(why)) for path, why in grouped],
            "comfyvn-store previews names each",
        )
    if found.previews_due:
        output.line(
            f"{count(found.previews_due, 'preview is', 'previews are')} being made"
            if found.previews_running
            else f"{count(found.previews_due, 'preview')} still to be made; comfyvn-store previews makes them now"
        )
    for key in found.ignored_config:
        output.line(f"not heeded in .comfyvnconfig: {key}")
    if clean:
        output.line("nothing needs attention")
    if found.assets and not found.has_remote:
        output.line("the bytes are nowhere but here; to name a place for them: comfyvn-store remote add NAME URL")


def _grouped(failures: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Gives one line for what several files lack for the same reason."""
    paths: dict[str, list[str]] = {}
    for path, why in failures:
        paths.setdefault(why, []).append(path)
    return [(each[0] if len(each) == 1 else count(len(each), "file"), why) for why, each in paths.items()]


def _section(title: str, rows: list[tuple[str, ...]], hint: str | None) -> None:
    output.line(f"{title}{':' if not hint else ''}" + (output.dim(f"  ({hint})") if hint else ""))
    output.table(rows[:20], indent="    ")
    if len(rows) > 20:
        output.line(f"    ... and {len(rows) - 20} more")


@command("db", short_help="print where the index is")
@_json
def db_command(as_json: bool) -> None:
    """Print the path of the index, a SQLite file that any program can read:

    \b
      sqlite3 "$(comfyvn-store db)" "SELECT path, license FROM assets_registry"
    """
    from comfyvn_store.ops.session import open_session

    with open_session() as session:
        output.notes(session.notes)
        path = session.repository.settings.db_path
    if as_json:
        output.as_json({"path": path})
    else:
        output.exact(path)


def _pixels(item: Mapping[str, Any], absent: str = "-") -> str:
    media = item["media"]
    if media.get("width") and media.get("height"):
        return f"{media['width']}x{media['height']}"
    return f"{media['duration']:.1f}s" if media.get("duration") else absent
