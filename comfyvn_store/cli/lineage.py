"""`lineage`, `impact`: what went into an asset, what came out of it, and what a model touched."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from comfyvn_store.base import names
from comfyvn_store.cli import output
from comfyvn_store.cli.declaring import PATH, Range, argument, command, option
from comfyvn_store.cli.output import count
from comfyvn_store.errors import UsageError

if TYPE_CHECKING:
    from comfyvn_store.ops.impact import Impact
    from comfyvn_store.ops.lineage import Edge, Lineage

_json = option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")
_LABELS = {"parent": "version before", "image": "picture"}


@command("lineage", short_help="what an asset was made from, and what was made from it")
@argument("name", metavar="PATH|UID|REV:PATH", type=PATH)
@option("--depth", metavar="N", type=Range(1, 100), default=3, show_default=True, help="Steps to go.")
@option("--dot", is_flag=True, help="Print a graph for Graphviz.")
@_json
def lineage_command(name: str, depth: int, dot: bool, as_json: bool) -> None:
    """Show what an asset was made from (pictures that its graph loads, the version before, models, LoRAs) and what was made
    from it, over all history.

    A graph names its pictures, it does not say their bytes: which asset is meant by a name is inferred, and the answer says
    so. A name that is a hash is a fact, as are models, LoRAs and versions.

    \b
      comfyvn-store lineage assets/cg/rooftop.png --dot | dot -Tsvg > rooftop.svg
    """
    from comfyvn_store.ops import lineage
    from comfyvn_store.ops.session import open_session

    if dot and as_json:
        raise UsageError("--dot and --json are two answers", hint="give one of them")
    with open_session() as session:
        output.notes(session.notes)
        found = lineage.lineage(session, name, depth=depth)
    if as_json:
        output.as_json(found.as_dict())
    elif dot:
        for text in _dot(found):
            output.line(text)
    else:
        _show(found)


def _show(found: Lineage) -> None:
    root = found.nodes[found.root]
    output.line(f"{output.strong(output.path(root['view']))}  {root['uid']}{_about(root)}")
    for title, nothing, is_up in (
        ("made from", "nothing that its record names", True),
        ("led to", "nothing that is known here", False),
    ):
        output.line(f"  {title}")
        rows = list(_tree(found, found.root, is_up, 0, {found.root}))
        output.table(rows or [(output.dim(nothing),)], indent="    ")
    if found.workflow_hash:
        others = count(found.same_workflow, "other version has", "other versions have")
        output.line(f"  workflow {found.workflow_hash[:16]}: {others} it, {found.same_batch} with the same seed")
        if found.same_workflow:
            output.line(f"they are: comfyvn-store search --history workflow:{found.workflow_hash[:16]}")
    if found.is_cut:
        output.note("there is more than fits; --depth 1 shows the nearest")
    output.line(f"all versions: comfyvn-store provenance {output.path(root['view'])}")


def _tree(found: Lineage, id_: str, is_up: bool, level: int, above: set[str]) -> Iterator[tuple[str, ...]]:
    """Gives a row for each edge; what stands above itself, or was shown with all that belongs to it, is not gone into again."""
    for edge in found.into(id_) if is_up else found.out_of(id_):
        other = edge.source if is_up else edge.target
        node = found.nodes[other]
        label = _LABELS.get(edge.kind, edge.kind)
        if not is_up and edge.kind == "parent":
            label = "version after"
        yield ("  " * level + label, _called(node), node.get("uid", ""), _remark(edge, node, other in above))
        if other not in above:
            above.add(other)
            yield from _tree(found, other, is_up, level + 1, above)


def _called(node: dict[str, Any]) -> str:
    if node["kind"] != "asset":
        return output.path(node["name"])
    return output.path(node["view"]) if node["known"] else node["hash"][:16]


def _remark(edge: Edge, node: dict[str, Any], was_shown: bool) -> str:
    words = [f"strength {edge.strength:g}"] if edge.strength is not None else []
    if edge.kind == "image" and node["kind"] == "asset":
        by = "its name" if edge.how == "name" else f"its {edge.how}"
        words.append(f"{'inferred ' if edge.basis == 'inferred' else ''}by {by} {output.path(edge.name or '')}")
    if node.get("known") is False:
        words.append("no asset of that name" if node["kind"] == "image" else "not in this history")
    text = ", ".join(words) + (_about(node) if node["kind"] == "asset" and node["known"] else "")
    return output.dim((text + (", see above" if was_shown and node["kind"] == "asset" else "")).strip(", "))


def _about(node: dict[str, Any]) -> str:
    words = [node["source"] or "", f"seed {node['seed']}" if node["seed"] is not None else ""]
    words.append(f"commit {node['commit'][:10]}" if node["commit"] else "not committed")
    words.append("" if node["current"] else "not here now")
    return "".join(f", {output.path(word)}" for word in words if word)


def _dot(found: Lineage) -> Iterator[str]:
    """Gives the graph in Graphviz's language; every text is quoted."""
    numbers = {id_: f"n{number}" for number, id_ in enumerate(found.nodes)}
    yield "digraph lineage {"
    yield "  rankdir=LR;"
    yield '  node [shape=box, fontname="sans-serif"];'
    for id_, node in found.nodes.items():
        more = ""
        if node["kind"] != "asset":
            more = ", shape=ellipse" if node["kind"] != "image" else ", style=dotted"
        elif id_ == found.root:
            more = ", penwidth=2"
        elif not node["known"] or not node["current"]:
            more = ", color=gray50"
        lines = [node["name"]] if node["kind"] != "asset" else [node.get("view", "?"), node["hash"][:16]]
        yield f"  {numbers[id_]} [label={_quoted(*lines)}{more}];"
    for edge in found.edges:
        label = edge.kind if edge.strength is None else f"{edge.kind} {edge.strength:g}"
        style = ", style=dashed" if edge.basis == "inferred" else ""
        text = f"{label} (inferred)" if edge.basis == "inferred" else label
        yield f"  {numbers[edge.source]} -> {numbers[edge.target]} [label={_quoted(text)}{style}];"
    yield "}"


def _quoted(*lines: str) -> str:
    """Gives lines as one text of Graphviz, where a backslash would begin an escape and a quotation mark end it."""
    escaped = (names.printable(line).replace("\\", "\\\\").replace('"', '\\"') for line in lines)
    return '"' + "\\n".join(escaped) + '"'


@command("impact", short_help="everything that a model or a LoRA touched")
@argument("model", metavar="MODEL")
@option("--limit", metavar="N", type=Range(0, 1 << 62), help="Show at most so many assets.")
@_json
def impact_command(model: str, limit: int | None, as_json: bool) -> int:
    """List every asset, ever, that a model or a LoRA touched: all versions in all of history, with their commits, and whether
    they are still here.

    The name needs no folder and no extension, case does not matter, and * stands for anything. Where several names agree,
    all count, and the answer says which. Ends with 1 if nothing names it.
    """
    from comfyvn_store.ops import impact
    from comfyvn_store.ops.session import open_session

    output.require_text(model)
    with open_session() as session:
        output.notes(session.notes)
        found = impact.impact(session, model)
    if as_json:
        found.assets = found.assets[:limit]
        output.as_json(found.as_dict())
    else:
        _show_impact(found, model, limit)
    return 0 if found.names else 1


def _inferred(version: dict[str, Any]) -> str:
    return f"inferred by its {version['how']}" if version["basis"] == "inferred" else ""


def _show_impact(found: Impact, model: str, limit: int | None) -> None:
    if not found.names:
        output.line(f"nothing names '{output.path(model)}'")
        output.line("all that is named: comfyvn-store impact '*'")
        return
    for each in found.names:
        output.line(f"{each['kind']} {output.strong(output.path(each['name']))}: {count(each['versions'], 'version')}")
    for each in found.similar:
        output.line(output.dim(f"not meant: {each['kind']} {output.path(each['name'])}"))
    rows = []
    for item in found.assets[:limit]:
        for place, version in enumerate(item["versions"]):
            author = (version["author"] or "").partition(" <")[0]
            strengths = ", ".join(
                f"{use['kind']} {use['strength']:g}" if use["strength"] is not None else use["kind"]
                for use in version["uses"]
            )
            rows.append(
                (
                    output.path(item["view"]) if not place else "",
                    version["uid"],
                    output.commit(version["commit"], "not committed"),
                    (version["committed_at"] or "")[:10],
                    output.path(author),
                    strengths,
                    output.dim(
                        ", ".join(filter(None, [_inferred(version), "" if version["current"] else "not here now"]))
                    ),
                )
            )
    output.table(rows, indent="  ")
    here = sum(item["current"] for item in found.assets)
    output.line(f"{count(len(found.assets), 'asset')}, {here} of them here now with it")
    if limit is not None and limit < len(found.assets):
        output.line(f"{limit} shown; without --limit all are")
    if found.assets:
        output.line(f"how one was made: comfyvn-store lineage {output.path(found.assets[0]['view'])}")
