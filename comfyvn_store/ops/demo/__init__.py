"""`demo`: a small repository, made on the spot, in which the real commands show what they do.

Owns the story. The pictures are drawn by `art`, the files made by `files`, the commands run by `shell`. What is told is
what the programs said; nothing here prints.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from comfyvn_store.base import names
from comfyvn_store.errors import LockTimeout, MachineError, Refused, from_os_error
from comfyvn_store.index import questions
from comfyvn_store.ops.demo.shell import Command, Event, Heading, Output, Remark, Shell, Tell, quiet_environment
from comfyvn_store.ops.session import open_session
from comfyvn_store.previews import worker
from comfyvn_store.vcs.repository import Repository, open_repository

__all__ = ["Command", "Demo", "Event", "Heading", "Output", "Remark", "Tell", "demo"]

DEFAULT_FOLDER = "comfyvn-demo"
AUTHOR = ("comfyvn demo", "demo@example.invalid")
_PATIENCE = 20.0
_CHECKPOINT = "animagineXLV3_v30.safetensors"
_MIRA = "characters/mira/happy.png"
_PARK = "backgrounds/park.png"


@dataclass(frozen=True)
class Demo:
    """What lies in `folder` (absolute) at the end. Sizes are bytes of content, without what a file system adds.

    `assets` are those of `main`; `objects` are the versions that the store keeps, those of the other branch too.
    """

    folder: str
    assets: int
    commits: int
    records: int
    previews: int
    objects: int
    objects_bytes: int
    git_objects: int
    git_bytes: int

    def as_dict(self) -> dict[str, Any]:
        """Gives plain data."""
        return asdict(self)


def demo(folder: str | None, tell: Tell, *, environment: Mapping[str, str] | None = None) -> Demo:
    """Makes the sample repository in `folder`, or in the first free of comfyvn-demo, comfyvn-demo-2 and so on.

    `tell` is called with each event as it happens. The caller's git settings, `GIT_*` and `COMFYVN_*` variables do not
    reach what runs. Raises Refused where `folder` exists and is not empty, GitFailed, MachineError; on failure what
    was made so far stays.
    """
    top = os.path.realpath(_claim(folder) if folder is not None else _claim_free_name())
    quiet = quiet_environment(top, environment)
    shell = Shell(top, quiet, tell)
    _set_up(shell, environment)
    repository = open_repository(top, environment=quiet)
    _commit_first_art(shell)
    _try_another_seed(shell)
    _branch(shell)
    _ask(shell, repository)
    _rebuild(shell, repository)
    return _measure(shell, repository)


def _claim(folder: str) -> str:
    """Makes a folder, or takes an empty one."""
    shown = names.printable(folder)
    try:
        os.makedirs(folder, exist_ok=True)
        found = os.listdir(folder)
    except (FileExistsError, NotADirectoryError):
        raise Refused(f"'{shown}' is in the way: it is no folder", hint="name another folder") from None
    except OSError as error:
        raise from_os_error(error, "make the folder") from None
    if found:
        raise Refused(
            f"'{shown}' exists and is not empty",
            hint="name another folder, or none: then the demo finds a free name",
        )
    return folder


def _claim_free_name() -> str:
    for number in range(1, 1000):
        name = DEFAULT_FOLDER if number == 1 else f"{DEFAULT_FOLDER}-{number}"
        if os.path.lexists(name) and not (os.path.isdir(name) and not os.listdir(name)):
            continue
        try:
            return _claim(name)
        except Refused:
            continue
    raise MachineError(f"no free name for the demo: '{DEFAULT_FOLDER}' to '{name}' are taken", hint="name a folder")


# -- the chapters --------------------------------------------------------------------------------------------------


def _set_up(shell: Shell, environment: Mapping[str, str] | None) -> None:
    shell.tell(Heading("A git repository with a store for art"))
    shell.run("git", "init", "-b", "main")
    shell.run("git", "config", "user.name", AUTHOR[0])
    shell.run("git", "config", "user.email", AUTHOR[1])
    # What a person's own git settings would do to whoever goes on with this repository afterwards.
    shell.query("git", "config", "commit.gpgSign", "false")
    shell.query("git", "config", "core.autocrlf", "false")
    own = {"core.hooksPath": os.path.join(shell.folder, ".git", "hooks"), "comfyvn.assetsRoot": "assets"}
    for key, value in own.items():
        if shell.setting_of(key, environment):
            shell.query("git", "config", key, value)
    shell.run("comfyvn-store", "init")


def _commit_first_art(shell: Shell) -> None:
    shell.tell(Heading("Art goes in with git add and git commit"))
    _write(shell.folder, _first_art())
    shell.tell(Remark("five pictures, each with its ComfyUI graph inside, and a voice line lie below assets/"))
    shell.run("git", "add", "assets")
    shell.run("git", "commit", "--quiet", "-m", "first art")
    shell.tell(Remark("the bytes are in the store; git and your game see a link"))
    shell.run("readlink", f"assets/{_MIRA}")


def _try_another_seed(shell: Shell) -> None:
    shell.tell(Heading("A picture is made again with another seed; amending the commit changes its hash"))
    _write(shell.folder, {_MIRA: _mira("happy", 77)})
    shell.run("git", "add", "assets")
    shell.run("git", "commit", "-m", "Mira smiels")
    shell.run("grep", '"commit"', f"assets/{_MIRA}.asset.json")
    shell.run("git", "commit", "--amend", "--quiet", "-m", "Mira smiles, seed 77")
    shell.run("git", "rev-parse", "HEAD")
    shell.run("grep", '"commit"', f"assets/{_MIRA}.asset.json")


def _branch(shell: Shell) -> None:
    shell.tell(Heading("A branch has art of its own"))
    shell.run("git", "switch", "--quiet", "-c", "evening")
    _write(shell.folder, {_PARK: _park("dusk", 314)})
    shell.run("git", "commit", "--quiet", "-a", "-m", "the park at dusk")
    for branch in ("main", "evening"):
        shell.run("git", "switch", "--quiet", branch)
        shell.run("comfyvn-store", "list", "--type", "backgrounds")
    shell.run("git", "switch", "--quiet", "main")


def _ask(shell: Shell, repository: Repository) -> None:
    shell.tell(Heading("Where does this picture come from?"))
    shell.run("comfyvn-store", "provenance", "--commit", "HEAD")
    shell.tell(Remark("this stands in the sidecar beside the picture; here without the inputs, which you just saw"))
    shell.run("grep", "-v", "^      ", f"assets/{_MIRA}.asset.json")
    shell.tell(Remark("prompts, models, tags and names can be searched"))
    shell.run("comfyvn-store", "list", "--text", "autumn park")
    _finish_previews(repository)


def _rebuild(shell: Shell, repository: Repository) -> None:
    shell.tell(Heading("The index may be lost: it is made again from git and the store"))
    place = os.path.relpath(shell.query("comfyvn-store", "db"), shell.folder)
    shell.run("rm", *sorted(glob.glob(f"{glob.escape(place)}*", root_dir=shell.folder)))
    shell.run("comfyvn-store", "rebuild")
    shell.run("git", "status")
    _finish_previews(repository)


def _finish_previews(repository: Repository) -> None:
    """Makes the previews that the detached worker has not made yet, or waits for it."""
    try:
        worker.work(repository, patience=_PATIENCE)
    except LockTimeout:
        return


def _measure(shell: Shell, repository: Repository) -> Demo:
    with open_session(shell.folder, environment=shell.environment) as session:
        found = list(questions.assets(session.index, session.repository))
        records = questions.ledger(session.index)
    versions = {record["hash"] for record in records}
    sizes = [info.st_size for info in map(repository.store.stat, versions) if info is not None]
    listing = shell.query("git", "cat-file", "--batch-all-objects", "--batch-check=%(objectsize:disk)").split()
    return Demo(
        shell.folder,
        assets=len(found),
        commits=int(shell.query("git", "rev-list", "--count", "--all")),
        records=len(records),
        previews=sum(1 for item in found if item["thumb"] is not None),
        objects=len(sizes),
        objects_bytes=sum(sizes),
        git_objects=len(listing),
        git_bytes=sum(map(int, listing)),
    )


# -- the art -------------------------------------------------------------------------------------------------------


def _write(top: str, art: Mapping[str, bytes]) -> None:
    """Saves files as programs do: a new file under the name, so that a link there is replaced and not followed."""
    for path, data in art.items():
        place = os.path.join(top, "assets", path)
        os.makedirs(os.path.dirname(place), exist_ok=True)
        if os.path.lexists(place):
            os.unlink(place)
        with open(place, "wb") as stream:
            stream.write(data)


def _first_art() -> dict[str, bytes]:
    from comfyvn_store.ops.demo import files

    return {
        _PARK: _park("noon", 314),
        _MIRA: _mira("happy", 1041),
        "characters/mira/sad.png": _mira("sad", 1042),
        "characters/tomo/happy.png": _tomo("happy", 2041),
        "characters/tomo/surprised.png": _tomo("surprised", 7),
        "voice/mira_lalala.wav": files.voice_wav(),
    }


def _mira(expression: str, seed: int) -> bytes:
    from comfyvn_store.ops.demo import art

    look = "1girl, long rose hair, green eyes, school blazer, red ribbon"
    return _sprite(art.MIRA, look, expression, seed)


def _tomo(expression: str, seed: int) -> bytes:
    from comfyvn_store.ops.demo import art

    return _sprite(art.TOMO, "1boy, short dark hair, amber eyes, green jacket, tie", expression, seed)


def _sprite(look: Any, words: str, expression: str, seed: int) -> bytes:
    from comfyvn_store.ops.demo import art, files

    recipe = files.Recipe(
        f"{words}, {expression}, upper body, simple background",
        seed,
        _CHECKPOINT,
        ("vn_sprite_lines.safetensors", 0.8),
        "sprite",
    )
    return files.comfyui_png(art.draw_sprite(look, expression, seed), recipe)


def _park(time: str, seed: int) -> bytes:
    from comfyvn_store.ops.demo import art, files

    words = f"scenery, autumn park, path, bench, {time}, no humans"
    recipe = files.Recipe(words, seed, _CHECKPOINT, ("vn_backgrounds.safetensors", 0.6), "background")
    return files.comfyui_png(art.draw_park(art.DUSK if time == "dusk" else art.NOON, seed), recipe)
