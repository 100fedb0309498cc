"""Trees of git, read, compared and made anew without an index: what rewriting a history needs.

Everything goes through two git processes that stay (`cat-file --batch`, `diff-tree --stdin`); new objects are gathered and
written as packs. Memory is bounded: only ids are kept for long.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections import OrderedDict
from collections.abc import Mapping
from typing import IO, NamedTuple

from comfyvn_store.errors import GitFailed
from comfyvn_store.vcs import blobs, staging
from comfyvn_store.vcs.git import Git
from comfyvn_store.vcs.staging import Change

_TREE = "40000"
# So many objects, or bytes of them, wait for the next pack; so many entries of parsed trees are kept.
_MOST_WAITING = 20_000
_MOST_BYTES = 32 << 20
_MOST_ENTRIES = 400_000
# What `diff-tree --stdin` does not understand it prints as it is, and flushes.
_MARK = b"comfyvn-end\n"


class Node(NamedTuple):
    """One entry of a tree: its mode as git writes it in trees (folders: 40000), and its object."""

    mode: str
    oid: str


Tree = Mapping[bytes, Node]
# What shall be at a path from now on: an entry, or None for nothing.
Edits = Mapping[str, Node | None]


class Trees:
    """The objects of one repository, read and made."""

    def __init__(self, git: Git, object_format: str) -> None:
        self._git = git
        self._format = object_format
        self._width = hashlib.new(object_format).digest_size
        self._waiting: dict[str, tuple[str, bytes]] = {}
        self._bytes = 0
        self._written: set[bytes] = set()
        self._parsed: OrderedDict[str, Tree] = OrderedDict()
        self._entries = 0
        self._reader: subprocess.Popen[bytes] | None = None
        self._differ: subprocess.Popen[bytes] | None = None
        self.empty = blobs.object_id("tree", b"", object_format)

    # -- reading ----------------------------------------------------------------------------------------------------

    def read(self, oid: str, most: int | None = None) -> tuple[str, bytes] | None:
        """Gives an object's kind and bytes; None if git has no such object, or it is larger than `most`.

        Raises GitFailed if git ends.
        """
        if oid in self._waiting:
            return self._waiting[oid]
        if self._reader is None:
            self._reader = self._git.start("cat-file", "--batch")
        source, target = _pipes(self._reader)
        target.write(oid.encode("ascii") + b"\n")
        target.flush()
        words = source.readline().split()
        if len(words) != 3:
            if not words:
                raise GitFailed("git cat-file", self._reader.wait(), "")
            return None
        size = int(words[2])
        if most is not None and size > most:
            left = size + 1
            while left > 0:
                left -= len(source.read(min(left, 1 << 20))) or left
            return None
        data = source.read(size + 1)
        if len(data) != size + 1:
            raise GitFailed("git cat-file", self._reader.wait(), "")
        return words[1].decode("ascii"), data[:-1]

    def tree(self, oid: str) -> Tree:
        """Gives the entries of a tree. Raises GitFailed where it is not there."""
        found = self._parsed.get(oid)
        if found is not None:
            self._parsed.move_to_end(oid)
            return found
        read = self.read(oid)
        if read is None or read[0] != "tree":
            raise GitFailed("git cat-file", 1, f"{oid} is no tree")
        return self._keep(oid, self._parse(read[1]))

    def find(self, tree: str, path: str) -> Node | None:
        """Gives what a tree has at a path."""
        *folders, name = os.fsencode(path).split(b"/")
        for folder in folders:
            node = self.tree(tree).get(folder)
            if node is None or node.mode != _TREE:
                return None
            tree = node.oid
        return self.tree(tree).get(name)

    def changes(self, old: str, new: str) -> list[Change]:
        """Gives what differs between two trees, recursively. Both are in git's database."""
        if old == new:
            return []
        if self._differ is None:
            words = ("diff-tree", "--stdin", "-r", "--raw", "-z", "--no-renames", "--no-abbrev")
            self._differ = self._git.start(*words)
        source, target = _pipes(self._differ)
        target.write(f"{old} {new}\n".encode("ascii") + _MARK)
        target.flush()
        head = source.readline()
        if head != f"{old} {new}\n".encode("ascii"):
            raise GitFailed("git diff-tree", self._differ.poll() or 1, "it gave no answer")
        data = bytearray()
        while not (data.endswith(_MARK) and (len(data) == len(_MARK) or data[-len(_MARK) - 1] == 0)):
            block = source.readline()
            if not block:
                raise GitFailed("git diff-tree", self._differ.wait(), "")
            data += block
        return staging.parse_raw(bytes(data[: -len(_MARK)]))

    # -- making -----------------------------------------------------------------------------------------------------

    def write(self, kind: str, data: bytes) -> str:
        """Gives the id of an object with this content, which will be in git's database after `flush`."""
        oid = blobs.object_id(kind, data, self._format)
        if (key := bytes.fromhex(oid)) not in self._written:
            self._written.add(key)
            self._waiting[oid] = (kind, data)
            self._bytes += len(data)
            if len(self._waiting) >= _MOST_WAITING or self._bytes >= _MOST_BYTES:
                self.flush()
        return oid

    def flush(self) -> None:
        """Writes what waits into git's database."""
        if self._waiting:
            blobs.write_objects(self._git, self._format, list(self._waiting.values()))
            self._waiting.clear()
            self._bytes = 0

    def edited(self, tree: str, edits: Edits) -> str:
        """Gives a tree with the edits done; folders that are empty then go."""
        return self._edit(tree, {os.fsencode(path): node for path, node in edits.items()}) or self.empty

    def _edit(self, tree: str | None, edits: Mapping[bytes, Node | None]) -> str | None:
        """Gives the new tree's id, None if nothing is left in it."""
        entries = dict(self.tree(tree)) if tree is not None and tree != self.empty else {}
        below: dict[bytes, dict[bytes, Node | None]] = {}
        for path, node in edits.items():
            name, slash, rest = path.partition(b"/")
            if slash:
                below.setdefault(name, {})[rest] = node
            elif node is not None:
                entries[name] = node
            elif name in entries and entries[name].mode != _TREE:
                del entries[name]
        for name, inner in below.items():
            old = entries.get(name)
            folder = old.oid if old is not None and old.mode == _TREE else None
            if folder is None and not any(inner.values()):
                continue
            new = self._edit(folder, inner)
            if new is not None:
                entries[name] = Node(_TREE, new)
            else:
                entries.pop(name, None)
        return self._write_tree(entries) if entries else None

    def _write_tree(self, entries: dict[bytes, Node]) -> str:
        oid = self.write("tree", encoded(entries))
        if oid not in self._parsed:
            self._keep(oid, dict(entries))
        return oid

    def _parse(self, data: bytes) -> Tree:
        entries, at = {}, 0
        while at < len(data):
            space = data.index(b" ", at)
            end = data.index(b"\0", space)
            oid = data[end + 1 : end + 1 + self._width].hex()
            entries[data[space + 1 : end]] = Node(data[at:space].decode("ascii"), oid)
            at = end + 1 + self._width
        return entries

    def _keep(self, oid: str, tree: Tree) -> Tree:
        self._parsed[oid] = tree
        self._entries += len(tree)
        while self._entries > _MOST_ENTRIES and len(self._parsed) > 1:
            self._entries -= len(self._parsed.popitem(last=False)[1])
        return tree

    def close(self) -> None:
        """Ends the processes."""
        for process in (self._reader, self._differ):
            if process is not None:
                for pipe in _pipes(process):
                    pipe.close()
                process.wait()
        self._reader = self._differ = None


def encoded(entries: Tree) -> bytes:
    """Gives a tree object's bytes, its entries in git's order: a folder's name as if a slash ended it."""
    ordered = sorted(entries.items(), key=lambda item: item[0] + (b"/" if item[1].mode == _TREE else b""))
    return b"".join(node.mode.encode("ascii") + b" " + name + b"\0" + bytes.fromhex(node.oid) for name, node in ordered)


def _pipes(process: subprocess.Popen[bytes]) -> tuple[IO[bytes], IO[bytes]]:
    assert process.stdin is not None and process.stdout is not None
    return process.stdout, process.stdin
