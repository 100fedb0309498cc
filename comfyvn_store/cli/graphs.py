"""`workflow`: the graph that made a picture, and what is needed to make it again."""

from __future__ import annotations

from contextlib import ExitStack, closing
from typing import TYPE_CHECKING

from comfyvn_store.cli import output
from comfyvn_store.cli.declaring import PATH, argument, command, option
from comfyvn_store.cli.output import count

if TYPE_CHECKING:
    from comfyvn_store.ops.session import Session
    from comfyvn_store.ops.verifying import Needed, Verified

_STATES = {
    "here": "a file of that name (inferred)",
    "asset": "an asset of that name (inferred)",
    "not looked for": "not looked for",
}


@command("workflow", short_help="print the ComfyUI graph a file carries; say what it needs")
@argument("name", metavar="PATH|UID|REV:PATH|FILE", type=PATH)
@option("--api", is_flag=True, help="The API graph (prompt) instead of the editor's.")
@option("--verify", is_flag=True, help="Say which models and input files it names, and whether they are here.")
@option("--models", metavar="DIR", multiple=True, type=PATH, help="With --verify: ComfyUI's folder of models.")
@option("--inputs", metavar="DIR", multiple=True, type=PATH, help="With --verify: its folder of input files.")
@option("--json", "as_json", is_flag=True, help="Print the answer as JSON; the graph itself is JSON either way.")
def workflow_command(
    name: str, api: bool, verify: bool, models: tuple[str, ...], inputs: tuple[str, ...], as_json: bool
) -> int:
    """Print the ComfyUI graph that a picture, sound or movie carries, ready to load again:

    \b
      comfyvn-store workflow assets/characters/alice.png > alice.json

    With --verify it says instead what is needed to make the picture again: each model that the graph names, with its SHA-256 if
    the file is at hand, and each input file. They are looked for below --models and --inputs (or `git config comfyvn.models`,
    `comfyvn.inputs`), by name, since a graph holds no hashes; input files also among the assets. Ends with 1 if something
    is missing.
    """
    from comfyvn_store.errors import UsageError
    from comfyvn_store.ops import verifying, workflow

    if (models or inputs) and not verify:
        raise UsageError("--models and --inputs go with --verify")
    with ExitStack() as stack:
        session = _session(stack, name)
        if session is not None:
            output.notes(session.notes)
            models = models or tuple(session.repository.settings.models)
            inputs = inputs or tuple(session.repository.settings.inputs)
        # What the server ran, without nodes that were muted, says best what is needed.
        graph = workflow.best(session, name) if verify and not api else workflow.workflow(session, name, api=api)
        if not verify:
            if graph.is_api and not api:
                output.note("this file carries only the API graph; ComfyUI loads that too")
            output.line(graph.text)
            return 0
        with closing(output.Progress()) as progress:
            found = verifying.verify(graph, models=models, inputs=inputs, session=session, progress=progress)
    if as_json:
        output.as_json(found.as_dict())
    else:
        _show(found)
    return 1 if found.missing else 0


def _session(stack: ExitStack, name: str) -> Session | None:
    """Opens the repository here; None where there is none and `name` is a file, which has its graph all the same."""
    import os

    from comfyvn_store.errors import NotInitialised
    from comfyvn_store.ops.session import open_session

    try:
        return stack.enter_context(open_session())
    except NotInitialised:
        if os.path.isfile(name):
            return None
        raise


def _show(found: Verified) -> None:
    rows = [(each.file.kind, output.path(each.file.name), _state(each)) for each in found.needed]
    output.table(rows)
    if not rows:
        output.line("the graph names no files")
    output.line(f"{count(len(found.nodes), 'kind')} of nodes: {output.path(', '.join(found.nodes))}")
    if found.missing:
        output.line(f"{output.bad('missing:')} {output.path(', '.join(each.file.name for each in found.missing))}")
    elif any(each.state == "not looked for" for each in found.needed):
        output.line("to look for them: --models DIR and --inputs DIR, or git config comfyvn.models DIR")
    elif rows:
        output.line("all of it is here; whether the nodes are installed only ComfyUI can tell")


def _state(needed: Needed) -> str:
    if needed.state == "missing":
        return output.bad("missing")
    parts = [_STATES[needed.state]]
    if needed.place is not None:
        parts.append(output.path(needed.place))
    if needed.sha256 is not None:
        parts.append(f"sha256 {needed.sha256}")
    return "  ".join(parts)
