"""Hand in every attack, have it graded, and see what it gained and what harm it did."""

import difflib
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import AbstractContextManager, chdir
from dataclasses import replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from grader import executors
from grader.attacks import Attack, plain
from grader.attacks.corpus import ATTACKS
from grader.attacks.ground import Ground
from grader.attacks.outcome import Outcome
from grader.attacks.processes import adopt_orphans, processes
from grader.course import CONFIG_NAME, BadInput, Course
from grader.executors import Executor

# gives an executor for a while
Place = Callable[[], AbstractContextManager[Executor]]


def choose(names: Sequence[str]) -> list[Attack]:
    """Return the attacks of these names, or all; raise ``BadInput`` for another."""
    known = {attack.name: attack for attack in ATTACKS}
    for name in names:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise BadInput(f"no attack is called {name!r}{hint}; --list names them all")
    return [known[name] for name in names] or list(ATTACKS)


def try_all(
    attacks: Sequence[Attack] = ATTACKS, jobs: int = 1, in_one_process: bool = False
) -> list[Outcome]:
    """Return the outcome of each attack, tried in ``jobs`` classes side by side.

    With ``in_one_process`` the student's code and the checks share a process, and only
    attacks that are known to be harmless are tried.
    """
    if in_one_process:
        attacks = [attack for attack in attacks if attack.plain]
    elif attacks:
        executors.check_sandbox()
    root, names = Course.find().root, [attack.name for attack in attacks]
    shares = [names[i::jobs] for i in range(jobs) if names[i::jobs]]
    with ProcessPoolExecutor(jobs, get_context("spawn")) as pool:
        share = pool.map(
            _try_share, [root] * len(shares), shares, [in_one_process] * len(shares)
        )
        found = {o.attack.name: o for outcomes in share for o in outcomes}
    return [found[name] for name in names]


def _try_share(root: Path, names: Sequence[str], in_one_process: bool) -> list[Outcome]:
    """Try attacks one after the other, in a process of their own."""
    adopt_orphans()
    place = plain.executor if in_one_process else partial(executors.local, 1)
    outcomes = []
    with chdir(root):
        for outcome in try_attacks(choose(names), place):
            print(f"{outcome.verdict:7} {outcome.attack.name}", file=sys.stderr)
            outcomes.append(outcome)
    # edits are functions, which can't go where the outcomes go
    return [replace(o, attack=replace(o.attack, edit=None)) for o in outcomes]


def try_attacks(attacks: Sequence[Attack], place: Place) -> Iterator[Outcome]:
    """Yield the outcome of each attack, graded by the executor that ``place()`` gives.

    The working folder is in the course whose configuration is used.
    """
    config = Course.find().root / CONFIG_NAME
    waiting = list(attacks)
    # what was damaged would be held against the next: all is new after any harm
    while waiting:
        with tempfile.TemporaryDirectory(prefix="fovea-attack-") as folder:
            with place() as executor:
                ground = Ground(Path(folder), config, executor)
                outcome = None
                while waiting and not (outcome and outcome.harms):
                    if outcome:
                        yield outcome
                    outcome = ground.try_attack(waiting.pop(0))
        left = processes()
        for process in left:
            process.kill()
        harms = (*outcome.harms, f"processes outlive the grader: {left}")
        yield replace(outcome, harms=harms) if left else outcome
