"""git's object database: reading and writing many small blobs in few processes, and streaming large ones."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from comfyvn_store.base import links
from comfyvn_store.errors import GitFailed
from comfyvn_store.vcs import promised
from comfyvn_store.vcs.git import Git

# As loose objects up to here, as one pack beyond (1,000 blobs: 667 ms by unpack-objects, 32 by index-pack); more packs
# than git's `gc.autoPackLimit` would make it collect, so few blobs must not become a pack each time.
_LOOSE = 32
_BATCH = 4000
# So many questions, or sizes, fit into the smallest pipe (4 KiB); a process that is kept answers them, where one is.
_FEW = 60
# git leaves loose objects to the file system, and takes a name that lost its bytes for an object (git-config, core.fsync).
DURABLY = ("-c", "core.fsync=all")
_KINDS = {"commit": 1, "tree": 2, "blob": 3, "tag": 4}


class Found(NamedTuple):
    """What git knows of an object without reading it."""

    kind: str
    size: int


def blob_id(data: bytes, object_format: str) -> str:
    """Gives the id git gives to a blob."""
    return object_id("blob", data, object_format)


def object_id(kind: str, data: bytes, object_format: str) -> str:
    """Gives the id git gives to an object ("blob", "tree", "commit", "tag")."""
    import hashlib

    return hashlib.new(object_format, b"%s %d\0" % (kind.encode("ascii"), len(data)) + data).hexdigest()


def sizes(git: Git, oids: Iterable[str]) -> dict[str, Found]:
    """Gives type and size of each object that git has."""
    names = list(dict.fromkeys(oids))
    if not names:
        return {}
    promised.fetch(git, names)
    found = {}
    for line in _checked(git, names):
        parts = line.split(" ")
        if len(parts) == 3:
            found[parts[0]] = Found(parts[1], int(parts[2]))
    return found


def _checked(git: Git, names: list[str]) -> list[str]:
    answers = git.ask(("cat-file", "--batch-check"), names) if len(names) <= _FEW else None
    if answers is not None:
        lines = [answers.readline() for _ in names]
        if all(lines):
            return [line.decode("utf-8", "replace").rstrip("\n") for line in lines]
    data = "".join(f"{oid}\n" for oid in names).encode()
    return git.run("cat-file", "--batch-check", "--buffer", data=data).decode("utf-8", "replace").splitlines()


def _read_few(git: Git, names: list[str]) -> list[tuple[str, bytes | None]] | None:
    """Has a process that is kept read blobs; None where there is none, or it ended."""
    answers = git.ask(("cat-file", "--batch"), names)
    if answers is None:
        return None
    found: list[tuple[str, bytes | None]] = []
    for oid in names:
        parts = answers.readline().split()
        if not parts:
            return None
        size = int(parts[2]) if len(parts) == 3 else None
        data = None if size is None else answers.read(size + 1)
        if size is not None and (data is None or len(data) != size + 1):
            return None
        found.append((oid, data[:-1] if data is not None else None))
    return found


def read_blobs(git: Git, oids: Iterable[str]) -> Iterator[tuple[str, bytes | None]]:
    """Gives each blob's bytes (None if git does not have it), a few thousand held at a time.

    For small blobs only: the caller has checked sizes where they are not known to be small.
    """
    names = list(dict.fromkeys(oids))
    for start in range(0, len(names), _BATCH):
        batch = names[start : start + _BATCH]
        promised.fetch(git, batch)
        few = _read_few(git, batch) if len(names) <= _FEW else None
        if few is not None:
            yield from few
            continue
        out = git.run("cat-file", "--batch", "--buffer", data="".join(f"{oid}\n" for oid in batch).encode())
        position = 0
        for oid in batch:
            end = out.index(b"\n", position)
            parts = out[position:end].split(b" ")
            position = end + 1
            if len(parts) != 3 or parts[1] == b"missing":
                yield oid, None
                continue
            size = int(parts[2])
            yield oid, out[position : position + size]
            position += size + 1


def read_few(git: Git, oids: Sequence[str], limit: int) -> Iterator[tuple[str, bytes | None]]:
    """Gives the bytes of few blobs in one process; None of those that git does not have or that have more than `limit`.

    Not for a partial clone, whose remote may have to be asked. Raises GitFailed if git ends amid its answers.
    """
    rest = list(oids)
    while rest:
        process = git.start("cat-file", "--batch", "--buffer")
        assert process.stdin is not None and process.stdout is not None
        with process, process.stdout as answers:
            process.stdin.write("".join(f"{oid}\n" for oid in rest).encode())
            process.stdin.close()
            while rest:
                oid, head = rest.pop(0), answers.readline()
                parts = head.split(b" ")
                size = int(parts[2]) if len(parts) == 3 else -1
                if size > limit:
                    process.kill()  # rather than have all of it
                    yield oid, None
                    break
                data = answers.read(size + 1) if size >= 0 else b""
                if not head.endswith(b"\n") or len(data) != size + 1:
                    raise GitFailed("git cat-file", process.wait(), "")
                yield oid, data[:-1] if size >= 0 else None


def read_small_blobs(git: Git, oids: Iterable[str], limit: int) -> dict[str, bytes]:
    """Gives the blobs of at most `limit` bytes; larger and missing ones are left out."""
    names = [oid for oid, found in sizes(git, oids).items() if found.kind == "blob" and found.size <= limit]
    return {oid: data for oid, data in read_blobs(git, names) if data is not None}


def read_links(git: Git, oids: Iterable[str]) -> dict[str, str]:
    """Gives the hash of the object behind each blob that is the text of a link; others are left out."""
    likely = [oid for oid, found in sizes(git, oids).items() if found.kind == "blob" and links.may_be_size(found.size)]
    parsed = ((oid, links.parse_link_bytes(data)) for oid, data in read_blobs(git, likely) if data is not None)
    return {oid: hash_ for oid, hash_ in parsed if hash_ is not None}


def stream_blob(git: Git, oid: str, block: int = 1 << 20) -> Iterator[bytes]:
    """Gives a blob's bytes in blocks. Raises GitFailed if git cannot read it to its end."""
    process = git.start("cat-file", "blob", oid)
    assert process.stdin is not None and process.stdout is not None
    process.stdin.close()
    try:
        while data := process.stdout.read(block):
            yield data
    finally:
        process.stdout.close()
        status = process.wait()
    if status:
        raise GitFailed("git cat-file", status, "")


def write_blobs(git: Git, object_format: str, contents: Sequence[bytes], *, durable: bool = False) -> list[str]:
    """Writes blobs and gives their ids, in order; unless `durable`, they reach the disk as git's settings say."""
    words = DURABLY if durable else ()
    oids = [blob_id(data, object_format) for data in contents]
    unique = dict(zip(oids, contents, strict=True))
    if len(unique) == 1:
        git.run(*words, "hash-object", "-w", "--stdin", "-t", "blob", "--no-filters", data=contents[0])
    elif unique:
        _write(git, words, [_pack_entry(data, _KINDS["blob"]) for data in unique.values()], object_format)
    return oids


def write_objects(git: Git, object_format: str, contents: Sequence[tuple[str, bytes]]) -> None:
    """Writes objects of any kind ("blob", "tree", "commit", "tag"), all of them different, each with its bytes, durably."""
    _write(git, DURABLY, [_pack_entry(data, _KINDS[kind]) for kind, data in contents], object_format)


def _write(git: Git, words: Sequence[str], parts: list[bytes], object_format: str) -> None:
    verb = ("unpack-objects", "-q") if len(parts) <= _LOOSE else ("index-pack", "--stdin")
    git.run(*words, *verb, data=_packed(parts, object_format))


def _packed(parts: list[bytes], object_format: str) -> bytes:
    """Gives a pack (gitformat-pack, version 2) of objects without deltas."""
    body = b"PACK" + (2).to_bytes(4, "big") + len(parts).to_bytes(4, "big") + b"".join(parts)
    import hashlib

    return body + hashlib.new(object_format, body).digest()


def _pack_entry(data: bytes, kind: int) -> bytes:
    import zlib

    size = len(data)
    head = bytearray()
    byte = (kind << 4) | (size & 15)
    size >>= 4
    while size:
        head.append(byte | 0x80)
        byte, size = size & 0x7F, size >> 7
    head.append(byte)
    return bytes(head) + zlib.compress(data, 1)


def known(git: Git, revisions: Sequence[str]) -> list[str]:
    """Gives those of the revisions that name something here."""
    lines = _checked(git, list(revisions))
    return [name for name, line in zip(revisions, lines, strict=False) if _oid_in(line)]


def resolve(git: Git, revision: str) -> str | None:
    """Gives the commit that a revision names, or None."""
    if revision.startswith("-"):
        return None
    if git.is_answering and revision == "HEAD":  # what a reflog lacks (`HEAD@{1}`) would end the process
        return _oid_in(_checked(git, ["HEAD^{commit}"])[0])
    done = git.outcome("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}", check=False)
    return os.fsdecode(done.stdout).strip() or None if done.returncode == 0 else None


def _oid_in(line: str) -> str | None:
    """Gives the id in a line of `cat-file --batch-check`; None where it says that there is no such object, or which."""
    oid, *rest = line.split(" ")
    return oid if len(rest) == 2 and rest[1].isdigit() else None


def commits_among(git: Git, oids: Sequence[str]) -> dict[str, str]:
    """Gives the commit that each of the ids names, itself or through tags, as far as they are here and name one."""
    names = list(dict.fromkeys(filter(None, oids)))
    data = "".join(f"{oid}^{{commit}}\n" for oid in names).encode()
    lines = (
        git.run("cat-file", "--batch-check=%(objectname) %(objecttype)", "--buffer", data=data)
        .decode("ascii")
        .splitlines()
    )
    found = {}
    for oid, line in zip(names, lines, strict=False):
        commit, _, kind = line.partition(" ")
        if kind == "commit":
            found[oid] = commit
    return found
