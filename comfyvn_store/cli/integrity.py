"""`fsck`: whether the bytes, and all that speaks of them, are in order."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing

from comfyvn_store.cli import output
from comfyvn_store.cli.declaring import PATH, argument, command, option
from comfyvn_store.cli.output import count


@command("fsck", short_help="whether every byte is here and right, and repairing what is not")
@argument("what", metavar="[PATH|REV]...", nargs=-1, type=PATH)
@option("--full", is_flag=True, help="Read every byte of every object, old versions too.")
@option("--incremental", is_flag=True, help="Skip what such a run verified before; can be interrupted.")
@option("--repair", "mends", is_flag=True, help="Put right what needs no decision of yours.")
@option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
def fsck_command(what: tuple[str, ...], full: bool, incremental: bool, mends: bool, as_json: bool) -> int:
    """Read the objects that the work tree and HEAD need, and say what is damaged, missing or in the wrong place, which
    links, sidecars and markers are wrong, and where the index differs from git.

    \b
      comfyvn-store fsck                        what you work with
      comfyvn-store fsck assets/characters      a part of it
      comfyvn-store fsck v1.0  (or v1.0..HEAD)  what a revision or a range needs
      comfyvn-store fsck --full --incremental   every object, a part of them each time

    Without --repair nothing is written. With it damaged objects go to quarantine, missing ones come back from copies on
    this machine and from remotes, and what is derived is made anew; no commit and no edit is touched. Ends with 1 if
    something is wrong, or remains.
    """
    from comfyvn_store.ops import fsck
    from comfyvn_store.vcs.repository import open_repository

    with closing(output.Progress()) as progress:
        done = fsck.fsck(open_repository(), what, full=full, incremental=incremental, mends=mends, progress=progress)
    if as_json:
        output.as_json(done.as_dict())
        return 1 if done.findings else 0
    for each in done.repaired:
        output.line(f"{output.good('repaired:')} {_about(each.hash, each.paths)}{output.path(each.message)}")
    by_text: dict[tuple[str, str, str], list[str]] = {}
    for finding in done.findings:
        by_text.setdefault((finding.kind, finding.message, finding.remedy), []).extend(finding.paths)
    for (kind, message, remedy), paths in by_text.items():
        output.line(f"{output.bad(kind + ':')} {output.path(message)}")
        _paths(paths)
        output.line(f"  {output.dim('to mend it:')} {output.path(remedy)}")
    skipped = f", {done.skipped} verified before" if done.skipped else ""
    summary = f"{count(done.objects, 'object')}, {done.hashed} read{skipped}"
    output.line(
        f"{summary}: nothing wrong" if not done.findings else f"{summary}: {count(len(done.findings), 'finding')}"
    )
    if done.absent:
        output.line(
            f"{count(done.absent, 'older version')} not here: `comfyvn-store pull --all` asks the remotes for them"
        )
    if not mends and any(finding.is_repairable for finding in done.findings):
        output.line("`comfyvn-store fsck --repair` puts right what needs no decision of yours")
    return 1 if done.findings else 0


def _about(hash_: str | None, paths: Sequence[str]) -> str:
    name = paths[0] if paths else (hash_ or "")[:16]
    return f"{output.path(name)} " if name else ""


def _paths(paths: Sequence[str]) -> None:
    output.table([(output.path(path),) for path in paths[:20] if path], indent="    ")
    if len(paths) > 20:
        output.line(f"    ... and {len(paths) - 20} more")
