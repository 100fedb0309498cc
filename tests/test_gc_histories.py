"""Any history of git commands, with collections in between: every link that git or the work tree has keeps its object."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import invariant, run_state_machine_as_test

from tests import media, oracle, templates
from tests.collecting import age, collect
from tests.histories import Histories
from tests.histories.disk import unmarked
from tests.histories.world import World
from tests.test_histories import begun

_MANY = os.environ.get("TEST_HISTORIES")


class Collected(World):
    """A world in which objects that nothing names may go to the trash."""

    def check_objects(self) -> None:
        store = self.common / "comfyvn"
        here = {place.parent.name + place.name for place in store.glob("objects/??/*")}
        for place in (store / "trash").iterdir():
            name = place.name[:64]
            assert oracle.digest(place.read_bytes()) == name
            here.add(name)
        lost = self.objects.keys() - here
        assert not lost, f"objects vanished: {lost}"
        new = {name for name in here - self.objects.keys() if self._place(name).exists()}
        for name in new:
            data = self._place(name).read_bytes()
            assert oracle.digest(data) == name
            self.objects[name] = unmarked(data)

    def _place(self, name: str) -> Path:
        return self.common / "comfyvn/objects" / name[:2] / name[2:]

    def check_collected(self) -> None:
        """Every link that a ref, a reflog, an index or a work tree has leads to its bytes."""
        listed = self.repo.git(
            "rev-list", "--objects", "--no-object-names", "--all", "--reflog", "--indexed-objects"
        ).out
        texts = oracle.read_blobs(self.repo, listed.split())
        named = {hash_ for data in texts.values() if (hash_ := oracle.linked_hash(data.decode("utf-8", "replace")))}
        trees = self.repo.git("worktree", "list", "--porcelain").out.splitlines()
        for top in (line[len("worktree ") :] for line in trees if line.startswith("worktree ")):
            for folder, _, files in os.walk(top):
                paths = [os.path.join(folder, name) for name in files if os.path.islink(os.path.join(folder, name))]
                named |= {hash_ for path in paths if (hash_ := oracle.linked_hash(os.readlink(path)))}
        for hash_ in named:
            assert self._place(hash_).exists(), f"collected, though it is named: {hash_}"


class Collecting(Histories):
    """The same rules, with a collection after every other step, also amid a merge or rebase."""

    @invariant()
    def collected(self) -> None:
        self.steps = getattr(self, "steps", 0) + 1
        if self.steps % 2:
            return
        with self.told():
            # Art that was added and thought better of, in the way of every collection.
            data = media.wav(0.02, frequency=900.0 + self.steps)
            self.git("hash-object", "-w", "--stdin", "--path=assets/loose.wav", input=data)
            if self.steps % 4 == 0 and not self.is_open:
                self.git("reflog", "expire", "--expire=now", "--all")
            if self.steps % 4 == 0:
                for place in (self.world.common / "comfyvn").glob("operations/*.json"):
                    self.git("update-ref", "-d", f"refs/comfyvn/operations/{place.stem}")
                    place.unlink()
            age(self.world.common / "comfyvn")
            self.world.log.append("gc --prune --grace 0")
            freed.update(collect(self.world.repo).freed)
            assert isinstance(self.world, Collected)
            self.world.check_collected()


# What was collected in all of them: a test that never collects anything shows nothing.
freed: dict[str, int] = {}


def test_any_history_with_collections_keeps_every_named_object(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    monkeypatch.setenv("COMFYVN_PREVIEWS", "off")
    monkeypatch.setenv("TMPDIR", str(tmp_path_factory.mktemp("histories")))
    monkeypatch.setattr(Collecting, "template", templates.shared(tmp_path_factory, begun).path, raising=False)
    monkeypatch.setattr(Collecting, "views", Collected)
    run_state_machine_as_test(
        Collecting,
        settings=settings(
            max_examples=int(_MANY or "2"),
            stateful_step_count=int(os.environ.get("TEST_HISTORIES_STEPS", "12")),
            deadline=None,
            derandomize=not _MANY,
            database=None,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )
    assert freed
