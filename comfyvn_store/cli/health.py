"""`check`: whether commits, and the installation, are as they should be."""

from __future__ import annotations

import click

from comfyvn_store.cli import output
from comfyvn_store.cli.output import count


@click.command("check", short_help="whether commits hold what they should, for servers and CI")
@click.argument("revisions", metavar="[RANGE]...", nargs=-1)
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
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
    if not done.findings:
        if not done.commits:
            output.line(f"{output.path(done.range)}: no commit to check")
        else:
            output.line(f"{count(done.commits, 'commit')}, {count(done.assets, 'asset')}: nothing wrong")
    return 1 if done.findings else 0
