"""Runs over a class that are killed: a script, so that what dies is a process of its
own.

Called with a course's folder, a seed, and how many runs to kill; prints a line of JSON
for each run: whom it started, and whom it finished.
"""

import json
import os
import random
import signal
import sys
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TextIO

from grader import fingerprint
from grader.autograde import grade_class
from grader.course import Course
from grader.execution import Task
from tests.grader.quick import Quick, execute


class Slow(Quick):
    """Runs two tasks at a time, and tells whom it starts."""

    def __init__(self, events: TextIO):
        super().__init__()
        self.pool, self.events = ThreadPoolExecutor(self.jobs), events

    def submit(self, task: Task) -> Future:
        print("started", task.student, file=self.events, flush=True)
        return self.pool.submit(execute, task)


def grade(course: Course, events: TextIO) -> None:
    """Grade the class, and tell who is finished."""
    print("began", file=events, flush=True)
    for result in grade_class(course.assignment("01_toy"), [], Slow(events)):
        kind = "skipped" if result.skipped else "finished"
        print(kind, result.student, file=events, flush=True)


def run(course: Course, rng: random.Random | None) -> dict[str, list[str]]:
    """Grade in a child process; with ``rng``, kill it at a random moment.

    That is after some students, or at the start, before the first.
    """
    read, write = os.pipe()
    child = os.fork()
    if not child:
        os.close(read)
        with os.fdopen(write, "w") as events:
            grade(course, events)
        os._exit(0)
    os.close(write)
    found: dict[str, list[str]] = {"started": [], "finished": [], "skipped": []}
    left = rng.randrange(7) if rng else -1
    with os.fdopen(read) as events:
        for line in events:
            kind, _, student = line.strip().partition(" ")
            found.setdefault(kind, []).append(student)
            if kind == "skipped":
                continue
            if left == 0:
                time.sleep(rng.uniform(0, 0.04 if student else 0.5))
                os.kill(child, signal.SIGKILL)
            left -= 1
    _, status = os.waitpid(child, 0)
    return found | {"killed": status == signal.SIGKILL}


def main(folder: str, seed: int, kills: int) -> None:
    # somebody may be at work on the grader while its tests run
    fingerprint.grader_code = lambda: "the code"
    os.chdir(folder)
    course = Course(Path(folder))
    rng = random.Random(seed)
    for number in range(kills + 1):
        print(json.dumps(run(course, rng if number < kills else None)), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
