"""The long-running filter process (gitattributes, "Long Running Filter Process", protocol version 2).

One process serves every file of one git command. `comfyvn` turns bytes into links and back, `comfyvn-sidecar` takes
`provenance.commit` out of sidecars and puts it in.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from comfyvn_store.base import pktline
from comfyvn_store.base.pktline import PacketReader, text_packets, write_all

if TYPE_CHECKING:
    from comfyvn_store.hot.driver import Driver


def serve(driver: str, source: int = 0, target: int = 1) -> int:
    """Speaks with git on two file descriptors until git closes its end; gives 1 if git was stopped amid its work."""
    try:
        return _converse(driver, PacketReader(source), target)
    except (pktline.StreamEnded, BrokenPipeError):
        return 1


def _converse(driver: str, reader: PacketReader, target: int) -> int:
    if reader.lines() != ["git-filter-client", "version=2"]:
        raise pktline.PacketError("this is no git filter client of version 2")
    write_all(target, text_packets(["git-filter-server", "version=2"]))
    reader.drain()
    write_all(target, text_packets(["capability=clean", "capability=smudge"]))
    process = _driver(driver, target)
    while True:
        try:
            words = dict(line.partition("=")[::2] for line in reader.lines())
        except EOFError:
            process.end()
            return 0
        process.answer(words, reader)
        process.rest(reader)


def _driver(name: str, target: int) -> Driver:
    # Each imports what it needs: what stores art would take longer to import than most sidecars take.
    if name == "comfyvn-sidecar":
        from comfyvn_store.hot.sidecardriver import Sidecars

        return Sidecars(target)
    from comfyvn_store.hot.artdriver import Art

    return Art(target)


def run(driver: str) -> int:
    """Serves git on standard input and output; those are then closed to everything else."""
    source, target = os.dup(0), os.dup(1)
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(2, 1)
    os.close(null)
    pktline.widen(source)
    return serve(driver, source, target)
