"""This package as Python keeps it compiled, also where it was told to write nothing (PYTHONDONTWRITEBYTECODE): every hook
and command would compile anew what it imports, which takes twice the time of all the rest."""

from __future__ import annotations

import os
import sys

import comfyvn_store


def ensure() -> None:
    """Compiles the package where Python will not do it and nobody has: after an upgrade, or an installation that left it."""
    if not sys.dont_write_bytecode:
        return
    source, compiled = comfyvn_store.__file__, getattr(comfyvn_store, "__cached__", None)
    if source and compiled and not _is_current(source, compiled) and _is_writable(os.path.dirname(compiled)):
        compile_all()


def compile_all() -> None:
    """Compiles what is not compiled, or was changed since."""
    import compileall

    package = os.path.dirname(os.path.abspath(comfyvn_store.__file__))
    # The package's own file, at which `ensure` looks, is the last: a run that was cut short is taken up again.
    for folder, _, files in sorted(os.walk(package), reverse=True):
        if any(name.endswith(".py") for name in files):
            compileall.compile_dir(folder, maxlevels=0, quiet=2)


def _is_current(source: str, compiled: str) -> bool:
    """Tells whether what is compiled was made of a file as it is (PEP 552 has the layout)."""
    try:
        with open(compiled, "rb") as stream:
            head = stream.read(16)
        info = os.stat(source)
    except OSError:
        return False
    if len(head) < 16 or head[4] & 1:  # told apart by a hash, which is Python's affair
        return len(head) == 16
    made_of = int.from_bytes(head[8:12], "little"), int.from_bytes(head[12:16], "little")
    return made_of == (int(info.st_mtime) & 0xFFFFFFFF, info.st_size & 0xFFFFFFFF)


def _is_writable(folder: str) -> bool:
    while not os.path.isdir(folder):
        above = os.path.dirname(folder)
        if above == folder:
            return False
        folder = above
    return os.access(folder, os.W_OK)
