"""`diff`, and `log PATH`: what changed, in the words that artists use."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

from comfyvn_store.cli import output
from comfyvn_store.cli.declaring import PATH, argument, command, option
from comfyvn_store.cli.output import count
from comfyvn_store.errors import UsageError

if TYPE_CHECKING:
    from comfyvn_store.asset.differences import Difference
    from comfyvn_store.asset.sidecar import Sidecar
    from comfyvn_store.ops.comparing import Compared, Pixels
    from comfyvn_store.ops.session import Session
    from comfyvn_store.ops.timeline import Step

_INDENT = "    "
_WORDS = {"A": "added", "M": "changed", "D": "deleted", "R": "moved"}


@command("diff", short_help="what differs between two pictures, versions or commits")
@argument("names", metavar="[A [B]] [PATH...]", nargs=-1, type=PATH)
@option("--no-pixels", is_flag=True, help="Do not look at pixels, which takes a moment each.")
@option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")
def diff_command(names: tuple[str, ...], no_pixels: bool, as_json: bool) -> int:
    """Say what differs: seed, model, LoRAs, prompts, tags, licence, size, and how many pixels.

    A and B are pictures, sounds or other files: an asset by path, by uid or as it was in a revision
    (HEAD~2:assets/characters/alice.png), or any file. Or both are revisions, of which all assets are compared, or those at
    and below PATHs.

    \b
      comfyvn-store diff                              what is not committed yet
      comfyvn-store diff assets/characters/alice.png  that of one asset
      comfyvn-store diff HEAD~1:assets/characters/alice.png assets/characters/alice.png
      comfyvn-store diff alice-1.png alice-2.png      any two files
      comfyvn-store diff v1.0 v1.1 assets/bg          two revisions (also v1.0..v1.1)
    """
    from comfyvn_store.ops.session import open_session

    with open_session() as session:
        output.notes(session.notes)
        found = _found(session, names, with_pixels=not no_pixels)
        if as_json:
            output.as_json([each.as_dict() for each in found])
            return 0
        shown = 0
        for each in found:
            _show_compared(each, is_pair=_is_pair(each))
            shown += 1
        aside = _untracked(session) if not names else 0
    if not shown:
        output.line("nothing differs")
    else:
        output.hint("what became of one asset, commit by commit: comfyvn-store log FILE")
    if aside:
        output.note(f"{count(aside, 'file is', 'files are')} not in git yet; git add shows them to it")
    return 0


def _untracked(session: Session) -> int:
    """Counts the files that could be assets and that git does not know yet."""
    from comfyvn_store.ops import status

    return len(status.untracked(session.repository))


def _is_pair(compared: Compared) -> bool:
    return compared.kind == "M" and compared.old_label is not None


def _found(session: Session, names: tuple[str, ...], *, with_pixels: bool) -> Iterable[Compared]:
    """Tells what was meant. Raises UsageError, UnknownAsset, UnknownRevision, UnknownFile."""
    from comfyvn_store.ops.comparing import Comparer

    comparer = Comparer(session, with_pixels=with_pixels)
    words = list(names)
    if words and comparer.is_range(words[0]):
        old, _, new = words[0].partition("..")
        return comparer.revisions(old or "HEAD", new or "HEAD", words[1:])
    revisions: list[str] = []
    while words and len(revisions) < 2 and comparer.is_revision(words[0]):
        revisions.append(words.pop(0))
    if revisions or not words or os.path.isdir(words[0]):
        first, second = (*revisions, None, None)[:2]
        return comparer.revisions(first, second, words)
    if len(words) > 2:
        raise UsageError(f"diff compares two things, not {len(words)}", hint="see comfyvn-store diff --help")
    return comparer.uncommitted(words[0]) if len(words) == 1 else [comparer.pair(words[0], words[1])]


def _show_compared(compared: Compared, *, is_pair: bool) -> None:
    label = output.strong(output.path(compared.label))
    if compared.old_label is not None:
        label = f"{output.path(compared.old_label)} -> {label}"
    output.line(label if compared.kind == "M" else f"{label}  {_WORDS[compared.kind]}")
    lines = list(_lines(compared.differences, compared.pixels))
    if is_pair and not lines:
        lines = ["the very same bytes and the same words about them"]
    for line in lines:
        output.line(_INDENT + line)


def _lines(differences: list[Difference], pixels: Pixels | None) -> Iterable[str]:
    from comfyvn_store.asset import differences as wording

    shown = [each for each in differences if each.field not in ("hash", "bytes")]
    yield from (output.path(wording.words(each)) for each in shown)
    if pixels is not None:
        yield _pixel_words(pixels)
    elif any(each.field == "hash" for each in differences) and not shown:
        yield from (output.path(wording.words(each)) for each in differences)


def _pixel_words(pixels: Pixels) -> str:
    if pixels.pixels is None or pixels.differing is None or pixels.clearly is None:
        return f"pixels not compared: {output.path(pixels.reason or 'unknown')}"
    if not pixels.differing:
        return "every pixel is the same"
    words = f"{_share(pixels.differing, pixels.pixels)} of pixels differ"
    if pixels.clearly != pixels.differing:
        words += f", {_share(pixels.clearly, pixels.pixels)} clearly"
    if pixels.box is not None:
        left, top, width, height = pixels.box
        if width * height < pixels.pixels * 0.9:
            words += f"; all within {width}x{height} at {left},{top}"
    return words


def _share(part: int, whole: int) -> str:
    """Gives a share that is neither 0 nor 100 % unless it is just that."""
    percent = 100 * part / whole
    if part and percent < 0.1:
        return "less than 0.1 %"
    if part < whole and percent > 99.9:
        return "more than 99.9 %"
    return f"{percent:.0f} %" if percent >= 10 or not part else f"{percent:.1f} %"


def _beginning(card: Sidecar) -> Iterable[str]:
    """Gives what there is to say of a first version: the lines of its portrait that tell how it was made."""
    from comfyvn_store.asset import portrait

    kept = ("size", "duration", "tag", "license", "source", "seed", "model", "lora", "sampler", "steps", "cfg")
    for text in portrait.lines(card):
        if text.partition(":")[0] in kept:
            yield text


def show_log(name: str, *, limit: int | None, with_pixels: bool, as_json: bool) -> int:
    """Prints what became of one asset, newest first."""
    from comfyvn_store.ops.session import open_session
    from comfyvn_store.ops.timeline import timeline

    with open_session() as session:
        output.notes(session.notes)
        steps = timeline(session, name, with_pixels=with_pixels, limit=limit)
        if as_json:
            output.as_json([step.as_dict() for step in steps])
            return 0
        shown = 0
        for step in steps:
            if shown:
                output.line()
            _show_step(session, step)
            shown += 1
    if not shown:
        output.line("no commit has it yet")
        return 0
    output.hint("an older version by its commit: comfyvn-store show COMMIT:PATH; comfyvn-store diff compares any two")
    return 0


def _show_step(session: Session, step: Step) -> None:
    commit, change = step.commit, step.change
    full = session.repository.full(change.path)
    told = f"{_WORDS[change.kind]}"
    if change.old_path is not None:
        told += f" from {output.path(session.repository.full(change.old_path))}"
    apart = "" if step.is_in_head else "  (not in HEAD's history)"
    output.line(f"{output.commit(commit.hash, '')}  {output.strong(output.path(commit.subject))}{output.dim(apart)}")
    merge = f", merge of {count(len(commit.parents), 'parent')}" if len(commit.parents) > 1 else ""
    output.line(_INDENT + output.dim(f"{output.path(commit.author)}, {commit.committed_at}{merge}"))
    output.line(f"{_INDENT}{output.path(full)}  {told}")
    if change.after is not None and change.before is None:
        for line in _beginning(change.after):
            output.line(_INDENT * 2 + line)
    for line in _lines(step.differences, step.pixels):
        output.line(_INDENT * 2 + line)
