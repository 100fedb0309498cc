"""The same world where views are copies: what holds of them as of links, and what takes a command until it holds."""

from pathlib import Path

from tests import oracle
from tests.histories.disk import unmarked
from tests.histories.world import Entry, World


class Copies(World):
    """A repository whose views are ordinary files."""

    modes = frozenset({"120000", "100644"})

    def __init__(self, template: Path) -> None:
        super().__init__(template)
        self.git("config", "comfyvn.views", "copy")
        self.tool("init")

    def check_work_tree(self) -> None:
        """As with links, after a command: git writes the link's text and calls no filter for it (docs/git.md)."""
        self.tool("list", codes=(0, 2))
        super().check_work_tree()

    def shows(self, path: str, entries: dict[str, Entry]) -> bool:
        if super().shows(path, entries):
            return True
        # While git is amid a verb, the text stays until that is done (docs/git.md).
        place = self.repo.path / path
        hash_ = self.hash_of(entries[path])
        return self.is_open() and place.is_file() and oracle.linked_hash(place.read_text("latin-1")) == hash_

    def check_all(self) -> None:
        assert self.repo.status() == []
        oracle.check_commits(self.repo)
        for path, (_, text, _) in oracle.assets(self.repo).items():
            assert text == oracle.link_text(path, oracle.linked_hash(text) or ""), path
            assert not (self.repo.path / path).is_symlink(), path
            # The same picture saved again has no marker, and git, which sees no change, keeps it so.
            assert unmarked(self.repo.read(path)) == self.objects[oracle.linked_hash(text) or ""], path
        assert self.repo.status() == []
