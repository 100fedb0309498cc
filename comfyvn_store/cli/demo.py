"""`demo`."""

from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING

from comfyvn_store.cli import output
from comfyvn_store.cli.declaring import argument, command, option
from comfyvn_store.cli.output import count

if TYPE_CHECKING:
    from comfyvn_store.ops.demo import Demo, Event


@command("demo", short_help="make a small sample repository and watch it work")
@argument("folder", metavar="[DIR]", required=False)
@option("--json", "as_json", is_flag=True, help="Print only the result, as JSON.")
def demo_command(folder: str | None, as_json: bool) -> None:
    """Make a small sample repository that shows all of this: two characters, a park and a voice line go in with git
    add and git commit; then you see what is known of them.

    It is made in DIR, or in comfyvn-demo, comfyvn-demo-2 and so on. Everything printed is what the commands say.
    """
    from comfyvn_store.ops import demo

    if as_json:
        output.as_json(demo.demo(folder, lambda event: None).as_dict())
        return
    _close(demo.demo(folder, _Teller()))


class _Teller:
    """Prints the story as it happens."""

    def __init__(self) -> None:
        self._chapter = 0

    def __call__(self, event: Event) -> None:
        from comfyvn_store.ops import demo

        match event:
            case demo.Heading(text):
                if self._chapter:
                    output.line()
                self._chapter += 1
                output.line(output.strong(f"{self._chapter}. {text}"))
            case demo.Command(line):
                output.line(output.good("$ ") + line)
            case demo.Remark(text):
                output.line(output.dim(f"# {text}"))
            case demo.Output(text):
                output.line(text)


def _close(done: Demo) -> None:
    output.line(output.dim(f"# git's own database: {output.size(done.git_bytes)} in {count(done.git_objects, 'object')}; "
                           f"the art: {output.size(done.objects_bytes)} in {count(done.objects, 'version')}"))  # fmt: skip
    output.line()
    place = os.path.relpath(done.folder)
    place = done.folder if place.startswith("..") else place
    output.line(output.strong(f"The demo is in {output.path(place)}/")
                + f": {count(done.assets, 'asset')}, {count(done.commits, 'commit')}, "
                f"{count(done.previews, 'preview')} in cache/thumbs/")  # fmt: skip
    output.line("Open its assets/ folder, load a picture into ComfyUI, and try:")
    output.line(f"  cd {shlex.quote(place)}")
    output.line("  comfyvn-store show assets/characters/tomo/surprised.png")
    output.line("  comfyvn-store provenance assets/characters/mira/happy.png")
    output.line("  git log --stat")
