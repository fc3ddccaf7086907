"""The processes that grading has started, orphans included."""

import ctypes
import sys
import time

import psutil


def adopt_orphans() -> None:
    """Have processes that lose their parent become this one's children, to be seen."""
    if sys.platform == "linux":
        set_child_subreaper = 36
        ctypes.CDLL(None).prctl(set_child_subreaper, 1, 0, 0, 0)


def processes(more_than: int = 0, patience_s: float = 3) -> list[psutil.Process]:
    """Return this process's descendants; wait a little while they are too many."""
    deadline = time.monotonic() + patience_s
    while True:
        found = [p for p in psutil.Process().children(recursive=True) if _runs(p)]
        if len(found) <= more_than or time.monotonic() > deadline:
            return found
        time.sleep(0.05)


def _runs(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
