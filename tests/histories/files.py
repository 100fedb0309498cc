"""Rules about files: saving and editing them, telling git of them, moving, removing and taking them back."""

import json
import os
from pathlib import Path

from hypothesis import strategies as st

from tests import media
from tests.histories.machine import MOVES, PATHS, Machine, seeds, step, which
from tests.oracle import SUFFIX

paths = st.sampled_from(PATHS)


class Files(Machine):
    """Everything that people do to files in a work tree."""

    # -- saving ----------------------------------------------------------------------------------------------------

    @step(path=paths, seed=seeds, add=st.booleans())
    def save(self, path: str, seed: int, add: bool) -> None:
        data = media.comfy_png(seed) if path.endswith(".png") else media.wav(0.02, frequency=100.0 + seed)
        if any((self.world.repo.path / parent).is_file() for parent in Path(path).parents):
            return
        self.world.write(path, data)
        self.world.unstaged[path] = data
        if add:
            self.add(["-A"])

    @step(number=which, marked=st.booleans())
    def save_the_same(self, number: int, marked: bool) -> None:
        path = self.asset(number)
        if path is not None:
            hash_ = self.world.hash_of(self.world.entries()[path]) or ""
            data = self.world.repo.object_path(hash_).read_bytes() if marked else self.world.objects[hash_]
            self.world.write(path, data)
            self.world.unstaged[path] = data

    @step(number=which)
    def edit_sidecar(self, number: int) -> None:
        path = self.asset(number)
        if path is not None and (self.world.repo.path / (path + SUFFIX)).is_file():
            self.number += 1
            said = {**self.world.repo.sidecar(path), "note": f"by hand {self.number}"}
            data = json.dumps(said, indent=self.number % 3 or None).encode()
            self.world.write(path + SUFFIX, data)
            self.world.unstaged[path + SUFFIX] = data

    @step(number=which)
    def delete(self, number: int) -> None:
        path = self.asset(number)
        if path is not None and path not in self.world.unstaged:
            self.world.run("rm", "-f", str(self.world.repo.path / path))
            self.world.may_differ([path])

    # -- telling git -----------------------------------------------------------------------------------------------

    @step(how=st.sampled_from([["-A"], ["-u"], ["-N", "."], ["assets/a"], ["assets/four.png"]]))
    def add(self, how: list[str]) -> None:
        before = {**self.world.unstaged}
        taken = set(before)
        if how == ["-u"]:
            taken &= self.world.entries().keys()
        elif how[0].startswith("assets"):
            taken = {path for path in taken if path == how[0] or path.startswith(how[0] + "/")}
        done = self.git("add", *how, check=False)
        if how[0] == "-N":
            self.world.may_differ(path for path, letters in self.world.status().items() if letters == " A")
        elif done.code == 0:
            self.world.told(taken)
            for path in taken:
                if not path.endswith(SUFFIX):
                    self.world.check_stored(before[path])
        else:
            assert "did not match any files" in done.err, done.err

    @step(number=which, tag=st.sampled_from(["red", "blue"]))
    def annotate(self, number: int, tag: str) -> None:
        path = self.asset(number)
        if path is not None and self.tool("annotate", path, "--tag", tag, codes=(0, 2, 20)).code == 0:
            self.world.told([path + SUFFIX])
            assert tag in (self.world.card("", path) or {})["tags"]  # type: ignore[operator]

    @step(path=paths, seed=seeds, replace=st.booleans())
    def register(self, path: str, seed: int, replace: bool) -> None:
        inside = path.removeprefix("assets/")
        if "/" not in inside:
            return
        data = media.comfy_png(seed) if path.endswith(".png") else media.wav(0.02, frequency=100.0 + seed)
        source = self.world.folder / Path(path).name
        source.write_bytes(data)
        type_, _, name = inside.partition("/")
        words = ["register", str(source), "--type", type_, "--name", name, *(["--replace"] if replace else [])]
        if self.tool(*words, codes=(0, 20)).code == 0:
            if path in self.world.unstaged:
                self.world.check_stored(self.world.unstaged[path])
            self.world.told([path, path + SUFFIX])

    # -- files -----------------------------------------------------------------------------------------------------

    @step(number=which, to=st.sampled_from(MOVES))
    def move(self, number: int, to: str) -> None:
        path = self.asset(number)
        if path is None:
            return
        source = path if "." in to else os.path.dirname(path)
        target = self.world.repo.path / to
        if target.exists() or target.is_symlink() or source == "assets" or (to + "/").startswith(source + "/"):
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        if self.git("mv", source, to, check=False).code == 0:
            for old in [each for each in self.world.unstaged if each == source or each.startswith(source + "/")]:
                self.world.unstaged[to + old[len(source) :]] = self.world.unstaged.pop(old)
            for old in [each for each in self.world.loose if each == source or each.startswith(source + "/")]:
                self.world.loose.add(to + old[len(source) :])

    @step(number=which, other=which)
    def move_over(self, number: int, other: int) -> None:
        path, target = self.asset(number), self.asset(other)
        if path is None or target is None or path == target:
            return
        card = self.world.card("", path)
        hash_ = self.world.hash_of(self.world.entries()[path])
        if self.git("mv", "-f", path, target, check=False).code:
            return
        self.world.told([target])
        if path in self.world.unstaged:
            self.world.unstaged[target] = self.world.unstaged.pop(path)
        if path in self.world.loose:
            self.world.loose.add(target)
        self.number += 1
        self.git("commit", "-q", "-m", f"commit {self.number}")
        if self.world.are_hooks_on and card is not None and card["hash"] == hash_:
            new = self.world.card("HEAD", target) or {}
            assert new["provenance"] == card["provenance"], f"{target} has not the record of {path}"

    @step(number=which, how=st.sampled_from([[], ["-f"], ["--cached"]]))
    def remove(self, number: int, how: list[str]) -> None:
        path = self.asset(number)
        if path is not None and self.git("rm", "-q", *how, "--", path, check=False).code == 0:
            if how == ["--cached"]:
                self.world.may_differ([path])
            else:
                self.world.told([path])

    @step()
    def clean(self) -> None:
        self.git("clean", "-qfdx")
        self.world.told([*self.world.unstaged.keys() - self.world.entries().keys()])
        self.tool("list")
