"""`doctor`, `check`: whether the installation, and commits, are as they should be."""

from __future__ import annotations

from collections.abc import Sequence

from comfyvn_store.cli import output
from comfyvn_store.cli.declaring import argument, command, option
from comfyvn_store.cli.output import count


@command("doctor", short_help="what is wrong with the installation, and how to mend it")
@option("--fix", is_flag=True, help="Mend what needs no decision of yours.")
@option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
def doctor_command(fix: bool, as_json: bool) -> int:
    """Say what is wrong with hooks, git config, attributes, the store and the art in git, and the command that mends each.

    With --fix what can be mended is mended: the installation is written anew, and what commits without hooks left undone
    is staged for your next commit. No commit is made, and no edit of yours is touched. Ends with 1 if something is wrong,
    or remains.
    """
    from comfyvn_store.ops import doctor
    from comfyvn_store.vcs.repository import open_repository

    repository = open_repository()
    found = doctor.mend(repository) if fix else doctor.examine(repository)
    if as_json:
        output.as_json(found.as_dict())
        return 1 if found.findings else 0
    for finding in found.mended:
        output.line(f"{output.good('mended:')} {finding.message}")
        _paths(finding.paths)
    for finding in found.findings:
        output.line(f"{output.bad(finding.kind + ':')} {finding.message}")
        _paths(finding.paths)
        output.line(f"  {output.dim('to mend it:')} {output.path(finding.remedy)}")
    if found.is_to_commit:
        output.line("staged; now: git commit")
    if not found.findings:
        output.line(f"{count(found.assets, 'asset')}; hooks, filters and store are in order")
    elif not fix and any(finding.is_mendable for finding in found.findings):
        output.line("`comfyvn-store doctor --fix` mends what needs no decision of yours")
    return 1 if found.findings else 0


def _paths(paths: Sequence[str]) -> None:
    output.table([(output.path(path),) for path in paths[:20] if path], indent="    ")
    if len(paths) > 20:
        output.line(f"    ... and {len(paths) - 20} more")


@command("check", short_help="whether commits hold what they should, for servers and CI")
@argument("revisions", metavar="[RANGE]...", nargs=-1)
@option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
def check_command(revisions: tuple[str, ...], as_json: bool) -> int:
    """Check that commits hold links and sidecars, not raw art: the whole tree of a revision (default: HEAD), or what each
    commit of a range changed.

    \b
      comfyvn-store check                     the commit you are on
      comfyvn-store check origin/main..HEAD   each commit that you are about to push
      comfyvn-store check topic ^main ^next   as git log understands it

    It needs git alone, neither the store nor init, and works in bare repositories and inside server hooks. Ends with 1
    if something is wrong; each finding names its commit, its path and what mends it.
    """
    from comfyvn_store.ops import check

    done = check.check(revisions)
    if as_json:
        output.as_json(done.as_dict())
        return 1 if done.findings else 0
    for finding in done.findings:
        output.line(f"{output.commit(finding.commit, '')} {output.path(finding.path)}: {output.bad(finding.message)}")
    for remedy in dict.fromkeys(finding.remedy for finding in done.findings[:20]):
        output.hint(remedy)
    if done.findings and done.commits > 1:
        output.hint("do that in the commit itself; to stop at an older one: git rebase -i COMMIT^, with 'edit'")
    if not done.findings:
        if not done.commits:
            # A server's hook names every branch it has: nobody wants to read those.
            asked = f"{output.path(done.range)}: " if len(revisions) < 2 else ""
            output.line(f"{asked}no commit to check")
        else:
            output.line(f"{count(done.commits, 'commit')}, {count(done.assets, 'asset')}: nothing wrong")
    return 1 if done.findings else 0
