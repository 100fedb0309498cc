"""The link grammar: the text of a view's symlink, and nothing else.

    link   = 1*"../" or nothing, then ".comfyvn/objects/" ab "/" rest
    ab     = the first 2 hex digits of the hash, rest = the other 62 (lower case)

There is exactly one valid text for a path and a hash; it has no newline at the end.
"""

from __future__ import annotations

STORE_LINK = ".comfyvn"
_MIDDLE = STORE_LINK + "/objects/"
_TAIL = len(_MIDDLE) + 2 + 1 + 62
# PATH_MAX is 4096 on Linux and git refuses longer paths, so no link needs more.
LONGEST = 4096 + _TAIL
_HEX = frozenset("0123456789abcdef")


def is_hash(text: str) -> bool:
    """Tells whether `text` is a full SHA-256 in lower-case hex."""
    return len(text) == 64 and is_hex(text)


def is_hex(text: str) -> bool:
    """Tells whether `text` is made of lower-case hexadecimal digits."""
    return bool(text) and _HEX.issuperset(text)


def object_name(hash_: str) -> str:
    """Gives an object's path below the store: `objects/ab/<62 hex>`."""
    return f"objects/{hash_[:2]}/{hash_[2:]}"


def link_text(path: str, hash_: str) -> str:
    """Gives the link of an asset at `path` (relative to the work tree's top, `/`-separated)."""
    return "../" * path.count("/") + _MIDDLE + hash_[:2] + "/" + hash_[2:]


def link_size(path: str) -> int:
    """Gives how many bytes the link of an asset at `path` has, whatever its hash."""
    return 3 * path.count("/") + _TAIL


def may_be_size(size: int) -> bool:
    """Tells whether the text of some link has so many bytes."""
    return _TAIL <= size <= LONGEST and (size - _TAIL) % 3 == 0


def parse_link(text: str) -> str | None:
    """Gives the hash a well-formed link names, at whatever depth, or None if `text` is no link."""
    cut = len(text) - _TAIL
    if cut < 0 or cut % 3 or not text.startswith("../" * (cut // 3) + _MIDDLE):
        return None
    tail = text[cut + len(_MIDDLE) :]
    hash_ = tail[:2] + tail[3:]
    return hash_ if tail[2] == "/" and is_hash(hash_) else None


def parse_link_bytes(data: bytes) -> str | None:
    """Same as `parse_link`, for bytes that may be anything."""
    if not _TAIL <= len(data) <= LONGEST:
        return None
    try:
        return parse_link(data.decode("ascii"))
    except UnicodeDecodeError:
        return None


def parse_written(data: bytes) -> str | None:
    """Same as `parse_link_bytes`, for what a file holds in which an editor or a checkout put line ends around the text."""
    return parse_link_bytes(data.strip(b"\r\n"))


# The lines that git puts around the sides of a conflict (git-merge, "How conflicts are presented").
_MARKS = (b"<<<<<<<", b"|||||||", b"=======", b">>>>>>>")
# Three sides of a conflict, with the marks and the names of what was merged behind them.
LONGEST_BENT = 4 * (LONGEST + 1024)


def is_conflict(data: bytes) -> bool:
    """Tells whether bytes are what git writes for two links that are ordinary files and in conflict: both, with markers."""
    if not data.startswith(_MARKS[0]) or len(data) > 2 * LONGEST:
        return False
    lines = data.splitlines()
    return all(line.startswith(_MARKS) or parse_link_bytes(line) is not None for line in lines)


def is_bent(data: bytes) -> bool:
    """Tells whether a file holds nothing but what became of link texts: several of them, with conflict markers, or cut off.

    Such a file is no art, and what it stands for cannot be told. `data` is all of the file, or more of its beginning than
    `LONGEST_BENT` bytes.
    """
    if not 3 <= len(data) <= LONGEST_BENT:
        return False
    lines = [line for line in data.replace(b"\r", b"\n").split(b"\n") if line]
    texts = [line for line in lines if not line.startswith(_MARKS)]
    return bool(texts) and all(map(_begins_link, texts)) and not (len(lines) == 1 and parse_link_bytes(lines[0]))


def _begins_link(text: bytes) -> bool:
    """Whether a text is a link, or the first three bytes of one or more."""
    steps = 0
    while text.startswith(b"../", 3 * steps):
        steps += 1
    rest = text[3 * steps :]
    middle = _MIDDLE.encode("ascii")
    if len(rest) < len(middle):
        return len(text) >= 3 and (middle.startswith(rest) or rest == b"..")
    folder, slash, name = rest[len(middle) :].partition(b"/")
    digits = folder + name
    whole = len(folder) == 2 if slash else len(folder) <= 2
    return rest.startswith(middle) and whole and len(digits) <= 64 and set(digits) <= set(b"0123456789abcdef")
