"""What this machine is, so that numbers mean something elsewhere."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path


def describe(place: Path) -> dict[str, str]:
    """Gives processor, memory, the file system of a place, and the system."""
    return {
        "processor": f"{_processor()}, {os.cpu_count()} cores",
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / (1 << 30):.1f} GiB",
        "file system": _file_system(place),
        "system": f"{platform.system()} {platform.release()}, {platform.machine()}",
        "Python": platform.python_version(),
    }


def load() -> str:
    """Gives how many processes wanted to run in the last minute, and in the last quarter of an hour."""
    one, _, fifteen = os.getloadavg()
    return f"{one:.1f} and {fifteen:.1f}"


def commit(top: Path) -> str:
    """Gives the commit of a checkout, and whether files in it differ from that."""

    def said(*words: str) -> str:
        return subprocess.run(["git", *words], cwd=top, capture_output=True, text=True, check=False).stdout.strip()

    return (said("rev-parse", "--short", "HEAD") or "unknown") + (
        ", with changes" if said("status", "-s", "-uno") else ""
    )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def _file_system(place: Path) -> str:
    """Gives the kind of the innermost mount that a place is in."""
    try:
        mounts = [line.split()[1:3] for line in Path("/proc/mounts").read_text().splitlines()]
    except OSError:
        return "unknown"
    found = [(len(folder), kind) for folder, kind in mounts if place.resolve().is_relative_to(folder)]
    return max(found)[1] if found else "unknown"
