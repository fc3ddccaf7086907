"""Cheats of every kind, and the command that tries them on this installation.

``python -m grader attack`` makes a small course (``target``), hands each cheat of
``corpus`` in as a student's work, has it graded as any class is, and looks at what it
gained and what harm it did (``run``). ``plain`` grades as is usual, student code and
checks in one process: there, most of these cheats work.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Attack:
    """One cheat: a submission, and what it has to earn.

    ``cells`` are sources by the name of their exercise; the right answers stand in the
    others. ``setup`` is the first cell, ``end`` one that is added after the last. In
    them ``MARK`` is a word that is new with each run, ``COURSE`` the course's folder,
    and ``PORT`` a port of this machine that somebody listens on. ``edit`` changes the
    notebook's file, or its folder, once it is written; ``refused`` says that it cannot
    be graded then.

    ``points`` are those of the exercises that don't earn all. Attacks that are
    ``plain`` are harmless to this machine, and work where student code and checks share
    a process. What is ``known`` may succeed, for the reason given.
    """

    name: str
    kind: str
    aim: str
    cells: Mapping[str, str] = field(default_factory=dict)
    points: Mapping[str, float] = field(default_factory=dict)
    edit: Callable[[Path], None] | None = None
    refused: bool = False
    plain: bool = False
    known: str = ""
