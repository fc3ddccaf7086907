"""Hand in every attack, have it graded, and see what it gained and what harm it did."""

import ctypes
import difflib
import hashlib
import os
import secrets
import shutil
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import chdir, contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import nbformat
import psutil
from bs4 import BeautifulSoup

from grader import executors
from grader.attacks import Attack, plain, target
from grader.attacks.corpus import ATTACKS
from grader.autograde import grade_class
from grader.course import CONFIG_NAME, Assignment, BadInput, Course
from grader.execution import Limits, Task
from grader.executors import Executor
from grader.rebuild import is_graded
from grader.verdicts import Result, Verdict

# short, as many attacks only end with them
LIMITS = Limits(call_s=3, cell_s=4, notebook_s=40, memory_bytes=1_500_000_000)
# nobody may hold the class up for longer
MOST_S = 2 * LIMITS.notebook_s
ATTACKER, NEXT, WITNESS = "attacker", "next", "witness"

# what the honest student who comes next looks for
_PROBE = """import builtins, resource, sys
left = [name for name, place in [("built-in name", builtins), ("module", sys.modules),
        ("variable", os.environ), ("attribute", sys), ("attribute", np)]
        if hasattr(place, "MARK") or place in (os.environ, sys.modules)
        and "MARK" in place]
for top in ("/tmp", "/dev/shm", "/var/tmp", os.path.expanduser("~"), os.getcwd()):
    if os.environ.get("FOVEA_SANDBOX") == "bubblewrap" or top == os.getcwd():
        left += [path for path, _, files in os.walk(top) if "MARK" in path
                 or any("MARK" in file for file in files)]
if os.environ.get("FOVEA_SANDBOX") == "bubblewrap":
    mine = {1, os.getpid(), os.getppid()}
    left += [f"process {p}" for p in os.listdir("/proc")
             if p.isdigit() and int(p) not in mine]
    for kind in ("shm", "sem", "msg"):
        left += open(f"/proc/sysvipc/{kind}").read().splitlines()[1:]
    left += [f"priority of {p}" for p in mine if os.getpriority(0, p) > 0]
    left += [f"scheduler of {p}" for p in mine if os.sched_getscheduler(p)]
with open("own", "wb") as file:
    file.write(bytes(10_000_000))
import matplotlib.pyplot as plt
plt.plot([1, 2])
plt.show()
print("left:", left)"""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What an attack came to; ``points`` are those of each exercise."""

    attack: Attack
    expected: dict[str, float]
    points: dict[str, float]
    harms: tuple[str, ...] = ()
    messages: dict[str, str] = field(default_factory=dict)
    seconds: float = 0

    @property
    def verdict(self) -> str:
        """``ok``, ``known``, ``GAINED``, ``LOST`` (an honest part did not count), or
        ``HARM``."""
        if self.harms:
            return "HARM"
        if self.points == self.expected:
            return "ok"
        if self.points.keys() != self.expected.keys():
            return "LOST"
        if any(self.points[name] > p for name, p in self.expected.items()):
            return "known" if self.attack.known else "GAINED"
        return "LOST"

    @property
    def as_expected(self) -> bool:
        return self.verdict in ("ok", "known")

    def to_dict(self) -> dict[str, Any]:
        """Return the outcome as data that JSON can hold."""
        return {
            "name": self.attack.name,
            "kind": self.attack.kind,
            "aim": self.attack.aim,
            "expected": self.expected,
            "points": self.points,
            "harms": list(self.harms),
            "known": self.attack.known or None,
            "seconds": round(self.seconds, 2),
            "verdict": self.verdict,
        }


def choose(names: Sequence[str]) -> list[Attack]:
    """Return the attacks of these names, or all; raise ``BadInput`` for another."""
    known = {attack.name: attack for attack in ATTACKS}
    for name in names:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise BadInput(f"no attack is called {name!r}{hint}; --list names them all")
    return [known[name] for name in names] or list(ATTACKS)


def attack_table(outcomes: Sequence[Outcome]) -> str:
    """Return the outcomes as a table, an attack a row, and what went wrong below."""
    lines = [f"{'verdict':8}{'points':>10}  {'attack':28}what it tries", "-" * 88]
    for o in outcomes:
        points = f"{sum(o.points.values()):g} / {sum(o.expected.values()):g}"
        lines.append(f"{o.verdict:8}{points:>10}  {o.attack.name:28}{o.attack.aim}")
        lines += [f"{'':20}harm: {harm}" for harm in o.harms]
        for name in o.points.keys() | o.expected.keys():
            got, due = o.points.get(name), o.expected.get(name)
            if got != due:
                why = o.messages.get(name, "")
                text = f"{name}: {got} points, where {due} are earned"
                lines.append(f"{'':20}{text}. {why}"[:300])
        if o.verdict == "known":
            lines.append(f"{'':20}known: {o.attack.known}")
    bad = sum(not o.as_expected for o in outcomes)
    known = sum(o.verdict == "known" for o in outcomes)
    lines += ["", f"{len(outcomes)} attacks: {bad} gained points or did harm"]
    lines[-1] += f", {known} got what is known to be theirs" * bool(known)
    return "\n".join(lines)


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
    _adopt_orphans()
    place = plain.executor() if in_one_process else executors.local(1)
    # edits are functions, which don't travel: names do
    by_name = {attack.name: attack for attack in ATTACKS}
    outcomes = []
    with chdir(root), place as executor:
        for outcome in try_attacks([by_name[name] for name in names], executor):
            print(f"{outcome.verdict:7} {outcome.attack.name}", file=sys.stderr)
            outcomes.append(outcome)
    left = _processes(patience_s=5)
    for process in left:
        process.kill()
    if left:
        harm = f"processes left behind at the end: {left}"
        outcomes[-1] = replace(outcomes[-1], harms=(*outcomes[-1].harms, harm))
    return [replace(o, attack=replace(o.attack, edit=None)) for o in outcomes]


def try_attacks(attacks: Sequence[Attack], executor: Executor) -> Iterator[Outcome]:
    """Yield the outcome of each attack, graded by ``executor``.

    The working folder is in the course whose configuration is used.
    """
    config = Course.find().root / CONFIG_NAME
    ground = None
    with tempfile.TemporaryDirectory(prefix="fovea-attack-") as folder:
        for number, attack in enumerate(attacks):
            if ground is None:
                root = Path(folder) / f"{number}"
                ground = _Ground(root, config, _Short(executor))
            outcome = ground.try_attack(attack)
            # what was damaged would be held against the next
            ground = None if outcome.harms else ground
            yield outcome


class _Short:
    """An executor with short limits."""

    def __init__(self, executor: Executor):
        self.executor = executor
        self.enclosed = getattr(executor, "enclosed", True)
        self.jobs = 1

    def submit(self, task: Task) -> Future:
        return self.executor.submit(replace(task, limits=LIMITS))


class _Ground:
    """A course to attack: its secrets, its witness, and all that must stay as it is."""

    def __init__(self, root: Path, config: Path, executor: Executor):
        self.root, self.executor = root, executor
        token = secrets.token_hex(8)
        self.mark = f"mark{token}"
        self.canaries = {
            kind: f"canary-{kind}-{token}" for kind in ("secret", "hidden", "witness")
        }
        self.course = Course(root)
        self._make(config)
        self._grade(WITNESS)
        self._grade_by_hand()
        self.processes = len(_processes(patience_s=0))
        self.before = self._state()

    def _make(self, config: Path) -> None:
        source = self.root / "solutions" / target.ASSIGNMENT / f"{target.NAME}.ipynb"
        source.parent.mkdir(parents=True)
        shutil.copy(config, self.root)
        nbformat.write(target.source(self.canaries["hidden"]), source)
        (self.root / "course_secret").write_text(self.canaries["secret"])
        with chdir(self.root):
            made = self.course.nbgrader.generate_assignment(target.ASSIGNMENT)
        assert made["success"], made
        why = f"{target.RIGHT['why']} {self.canaries['witness']}"
        self._hand_in(WITNESS, {"why": why})

    @cached_property
    def assignment(self) -> Assignment:
        return self.course.assignment(target.ASSIGNMENT)

    def _hand_in(self, student: str, cells: dict[str, str]) -> Path:
        folder = self.assignment.submission_folder(student)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        release = nbformat.read(self.assignment.release_path, as_version=4)
        answers = {**target.RIGHT, **cells}
        nbformat.write(
            target.answered(release, answers),
            folder / self.assignment.source_path.name,
        )
        return folder / self.assignment.source_path.name

    def _grade(self, *students: str) -> dict[str, Result]:
        # the secret is the course's own, not one of whoever runs the attacks
        with chdir(self.root), _without("FOVEA_SECRET"):
            found = grade_class(self.assignment, students, self.executor, force=True)
            return {result.student: result for result in found}

    # --- an attack ---

    def try_attack(self, attack: Attack) -> Outcome:
        with _listener() as heard:
            words = {
                "MARK": self.mark,
                "COURSE": str(self.root),
                "PORT": str(heard.port),
            }
            cells = {name: _filled(text, words) for name, text in attack.cells.items()}
            path = self._hand_in(ATTACKER, cells)
            if attack.edit:
                attack.edit(path)
            self._hand_in(NEXT, {"end": _filled(_PROBE, words)})
            start = time.monotonic()
            results = self._grade(ATTACKER, NEXT)
            seconds = time.monotonic() - start
        result = results[ATTACKER]
        harms = [*self._harms(attack, result), *self._harms_to_next(results[NEXT])]
        if heard.calls:
            harms.append("it reached the network")
        if seconds > MOST_S:
            harms.append(f"it held the class up for {seconds:.0f} s")
        everything = {} if attack.refused else target.POINTS | dict(attack.points)
        return Outcome(
            attack=attack,
            expected=everything,
            points=_points(result),
            messages={_name(v): v.message for v in result.verdicts},
            harms=tuple(harms),
            seconds=seconds,
        )

    # --- harm ---

    def _state(self) -> dict[str, str]:
        """Return what has to stay as it is: files by their hashes, and grades."""
        own = {ATTACKER, NEXT}
        state = {}
        for path in sorted(self.root.rglob("*")):
            parts = path.relative_to(self.root).parts
            if path.is_file() and not own & {*parts} and "gradebook" not in parts[0]:
                text = hashlib.sha256(path.read_bytes()).hexdigest()
                state["/".join(parts)] = text
        return state | {"the witness's grades": self._witness_grades()}

    def _witness_grades(self) -> str:
        with self._gradebook() as gradebook:
            work = gradebook.find_submission(target.ASSIGNMENT, WITNESS)
            grades = [g for notebook in work.notebooks for g in notebook.grades]
            return str(sorted((g.name, g.auto_score, g.manual_score) for g in grades))

    @contextmanager
    def _gradebook(self) -> Iterator[Any]:
        from nbgrader.api import Gradebook

        coursedir = self.course.nbgrader.coursedir
        with Gradebook(coursedir.db_url, coursedir.course_id) as gradebook:
            yield gradebook

    def _grade_by_hand(self) -> None:
        with self._gradebook() as gradebook:
            where = (f"{target.NAME}-why", target.NAME, target.ASSIGNMENT, WITNESS)
            gradebook.find_grade(*where).manual_score = 2.5
            gradebook.db.commit()

    def _harms(self, attack: Attack, result: Result) -> Iterator[str]:
        after = self._state()
        for name in sorted(self.before.keys() | after.keys()):
            if self.before.get(name) != after.get(name):
                yield f"{name} was changed"
        folders = [self.course.folder("autograded") / ATTACKER]
        if attack.kind in ("web page", "folder") and not result.problem:
            folders.append(self.course.folder("feedback") / ATTACKER)
            yield from self._harms_on_page()
        for folder in folders:
            yield from self._leaks(folder)
        if self.canaries["secret"] in result.problem:
            yield "the message tells the secret"
        for place in {Path("/"), *map(Path, _PLACES)}:
            for path in place.glob(f"*{self.mark}*"):
                yield f"{path} was left behind"
        now = _processes(more_than=self.processes)
        if len(now) > self.processes:
            yield f"there are {len(now)} processes, before were {self.processes}: {now}"

    def _leaks(self, folder: Path) -> Iterator[str]:
        """Say what can be read in a folder of the attacker's that nobody told."""
        for path in folder.rglob("*"):
            if not path.is_file():
                continue
            text = path.read_text(encoding="utf-8", errors="replace")
            if path.suffix == ".ipynb":
                text, hidden = _outputs(path)
            else:
                hidden = text
            for kind, canary in self.canaries.items():
                if canary in (hidden if kind == "hidden" else text):
                    yield f"{path.name} tells what is {_SECRETS[kind]}"
            if f"{self.mark} got in" in text:
                yield text[text.index(self.mark) :].split("\n")[0][:200]

    def _harms_on_page(self) -> Iterator[str]:
        with chdir(self.root):
            made = self.course.nbgrader.generate_feedback(
                target.ASSIGNMENT, ATTACKER, force=True
            )
        if not made["success"]:
            yield "its feedback could not be written"
        for path in (self.course.folder("feedback") / ATTACKER).rglob("*.html"):
            for element in BeautifulSoup(path.read_text(), "html.parser").find_all():
                if found := _active(element, self.mark):
                    yield f"the feedback page holds {found[:200]}"

    def _harms_to_next(self, result: Result) -> Iterator[str]:
        if result.problem or result.flags or _points(result) != target.POINTS:
            messages = {v.message for v in result.verdicts if v.score == 0}
            told = (*result.flags, result.problem, *sorted(messages))
            yield f"the next student is graded wrongly: {'; '.join(told)}"
        for path in (self.course.folder("autograded") / NEXT).rglob("*.ipynb"):
            text, _ = _outputs(path)
            if "left: []" not in text:
                yield f"the next student finds: {text[text.find('left: ') :][:300]!r}"


_SECRETS = {
    "secret": "the course's secret",
    "hidden": "in hidden tests",
    "witness": "another student's work",
}
_PLACES = ["/tmp", "/var/tmp", "/dev/shm", "/etc", "/opt", sys.prefix, *sys.path]
_PLACES += [str(Path.home()), str(Path(os.__file__).parent)]


def _filled(text: str, words: dict[str, str]) -> str:
    for word, value in words.items():
        text = text.replace(word, value)
    return text


def _points(result: Result) -> dict[str, float]:
    return {_name(v): v.score for v in result.verdicts if v.score is not None}


def _name(verdict: Verdict) -> str:
    return verdict.grade_id.removeprefix(f"{target.NAME}-").removesuffix("-tests")


def _outputs(path: Path) -> tuple[str, str]:
    """Return what all cells put out, and what those do that aren't graded."""
    cells = nbformat.read(path, as_version=4).cells
    every = [(str(o), is_graded(c)) for c in cells for o in c.get("outputs", ())]
    return (
        "\n".join(text for text, _ in every),
        "\n".join(text for text, graded in every if not graded),
    )


def _active(element: Any, mark: str) -> str:
    """Return the part of an HTML element that a browser would run, fetch, or obey."""
    if element.name in ("script", "style", "iframe", "object", "embed", "svg", "form"):
        return str(element) if mark in str(element) else ""
    for name, value in element.attrs.items():
        text = " ".join(value) if isinstance(value, list) else str(value)
        harmless = name in ("alt", "title") or (
            element.name == "a" and name == "href" and text.startswith("https://")
        )
        if mark in text and not harmless:
            return str(element)
    return ""


# --- processes and sockets ---


def _adopt_orphans() -> None:
    """Have processes that lose their parent become this one's children, to be seen."""
    if sys.platform == "linux":
        set_child_subreaper = 36
        ctypes.CDLL(None).prctl(set_child_subreaper, 1, 0, 0, 0)


def _processes(more_than: int = 0, patience_s: float = 3) -> list[psutil.Process]:
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


@dataclass
class _Heard:
    port: int
    calls: list = field(default_factory=list)


@contextmanager
def _listener() -> Iterator[_Heard]:
    """Yield a port of this machine, and who has called it."""
    with socket.create_server(("", 0)) as server:
        heard = _Heard(server.getsockname()[1])

        def listen() -> None:
            while True:
                try:
                    connection, address = server.accept()
                except OSError:
                    return
                connection.close()
                heard.calls.append(address)

        thread = threading.Thread(target=listen, daemon=True)
        thread.start()
        yield heard
        server.shutdown(socket.SHUT_RDWR)
    thread.join()


@contextmanager
def _without(variable: str) -> Iterator[None]:
    value = os.environ.pop(variable, None)
    try:
        yield
    finally:
        if value is not None:
            os.environ[variable] = value
