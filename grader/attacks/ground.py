"""A small course to attack, with all that an attack could harm."""

import hashlib
import os
import secrets
import shutil
import socket
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import chdir, contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import nbformat
from bs4 import BeautifulSoup

from grader.attacks import Attack, target
from grader.attacks.outcome import Outcome
from grader.attacks.processes import processes
from grader.autograde import grade_class
from grader.cells import is_graded
from grader.course import Assignment, Course
from grader.execution import Limits, Task
from grader.executors import Executor
from grader.verdicts import Result, Verdict

# short, as many attacks only end with them
LIMITS = Limits(call_s=3, cell_s=4, notebook_s=40, memory_bytes=1_500_000_000)
# nobody may hold the class up for longer
MOST_S = 2 * LIMITS.notebook_s
ATTACKER, NEXT, WITNESS = "attacker", "next", "witness"

# what the honest student who comes next looks for
_PROBE = """import builtins, sys
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
    left += [f"priority of {p}" for p in mine if os.getpriority(0, p) > NICE]
    left += [f"scheduler of {p}" for p in mine if os.sched_getscheduler(p)]
with open("own", "wb") as file:
    file.write(bytes(10_000_000))
import matplotlib.pyplot as plt
plt.plot([1, 2])
plt.show()
print("left:", left)"""


class _Short:
    """An executor with short limits."""

    def __init__(self, executor: Executor):
        self.executor = executor
        self.enclosed = getattr(executor, "enclosed", True)
        self.jobs = 1

    def submit(self, task: Task) -> Future:
        return self.executor.submit(replace(task, limits=LIMITS))


class Ground:
    """A course to attack: its secrets, its witness, and all that must stay as it is."""

    def __init__(self, root: Path, config: Path, executor: Executor):
        self.root, self.executor = root, _Short(executor)
        token = secrets.token_hex(8)
        self.mark = f"mark{token}"
        self.canaries = {
            kind: f"canary-{kind}-{token}" for kind in ("secret", "hidden", "witness")
        }
        self.course = Course(root)
        self._make(config)
        self._grade(WITNESS)
        self._grade_by_hand()
        self.processes = len(processes(patience_s=0))
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
            # The attacks may have been started with a lower priority themselves.
            words["NICE"] = str(os.getpriority(os.PRIO_PROCESS, 0))
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
            problem=result.problem,
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
        now = processes(more_than=self.processes)
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
        pages = [*(self.course.folder("feedback") / ATTACKER).rglob("*.html")]
        if not pages:
            yield "there is no feedback page"
        for page in pages:
            for element in BeautifulSoup(page.read_text(), "html.parser").find_all():
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
