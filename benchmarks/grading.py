"""How fast is a class graded, against `nbgrader autograde` as it comes?

    python -m benchmarks.grading                      # 100 submissions
    python -m benchmarks.grading --submissions 20 --json
    python -m benchmarks.grading --sizes 10 100 1000  # ours alone, by size of class

Both grade a sampled class of one assignment on the same cores, in turns, so that other
load on the machine hits both. Stock is nbgrader's own configuration; its hidden checks
run in the student's kernel.
"""

import argparse
import contextlib
import json
import os
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from grader.course import Course
from grader.sample import sample_class

ROOT = Path(__file__).resolve().parent.parent
ASSIGNMENT = "01_backprop"
POLL_S = 0.1
STOCK_CONFIG = """
c = get_config()
c.CourseDirectory.course_id = "stock"
c.CourseDirectory.source_directory = "solutions"
c.CourseDirectory.release_directory = "assignments"
c.ExecutePreprocessor.timeout = 120
c.Execute.timeout = 120
"""


@dataclass
class Measured:
    """One command: seconds of clock and of processors, and the largest memory."""

    wall_s: float = 0
    cpu_s: float = 0
    peak_mb: float = 0
    output: str = ""

    def __add__(self, other: "Measured") -> "Measured":
        return Measured(
            self.wall_s + other.wall_s,
            self.cpu_s + other.cpu_s,
            max(self.peak_mb, other.peak_mb),
            other.output,
        )


def measure(command: Sequence[str], folder: Path) -> Measured:
    """Run a command in ``folder``; its processes are watched from outside, because
    what is killed in a sandbox does not add to anyone's count."""
    scripts = str(Path(sys.executable).parent)
    environment = os.environ | {
        "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "FOVEA_SECRET": "benchmark",
    }
    found = Measured()
    start = time.monotonic()
    with tempfile.TemporaryFile("w+") as output:
        process = psutil.Popen(
            command,
            cwd=folder,
            env=environment,
            stdout=output,
            stderr=subprocess.DEVNULL,
        )
        polls = 0
        while process.poll() is None:
            found.cpu_s = max(found.cpu_s, _cpu(process))
            if polls % 10 == 0:
                found.peak_mb = max(found.peak_mb, _memory(process) / 1e6)
            polls += 1
            time.sleep(POLL_S)
        found.wall_s = time.monotonic() - start
        output.seek(0)
        found.output = output.read()
    return found


def _tree(process: psutil.Process) -> list[psutil.Process]:
    try:
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _cpu(process: psutil.Process) -> float:
    """Return the seconds of all processes that live, and of those they have buried."""
    total = 0.0
    for each in _tree(process):
        try:
            total += sum(each.cpu_times()[:4])
        except psutil.NoSuchProcess:
            continue
    return total


def _memory(process: psutil.Process) -> float:
    """Return the bytes of all processes, what they share counted once."""
    total = 0
    for each in _tree(process):
        try:
            total += each.memory_full_info().pss
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return total


# --- the two ways ---


def make_course(folder: Path, num: int, seed: int = 0) -> Path:
    """Write a course with a sampled class."""
    folder.mkdir(parents=True)
    _copy_notebooks(Course(ROOT), folder)
    shutil.copy(ROOT / "nbgrader_config.py", folder)
    sample_class(Course(folder).assignment(ASSIGNMENT), num, seed)
    _release(folder)
    return folder


def make_stock_course(folder: Path, ours: Path, students: list[str]) -> Path:
    """Write a course of nbgrader's own kind with some students of ``ours``."""
    folder.mkdir(parents=True)
    _copy_notebooks(Course(ROOT), folder)
    (folder / "nbgrader_config.py").write_text(STOCK_CONFIG)
    for student in students:
        shutil.copytree(ours / "submitted" / student, folder / "submitted" / student)
    _release(folder)
    return folder


def _copy_notebooks(course: Course, folder: Path) -> None:
    for kind in ("source", "release"):
        origin = course.folder(kind)
        shutil.copytree(origin, folder / origin.relative_to(ROOT))


def _release(folder: Path) -> None:
    """Make the gradebook, as every course has one before it collects anything."""
    make = ["nbgrader", "generate_assignment", ASSIGNMENT, "--create", "--force"]
    measure(make, folder)


def run_stock(folder: Path) -> Measured:
    return measure(["nbgrader", "autograde", ASSIGNMENT, "--create"], folder)


def stock_scores(folder: Path) -> dict[tuple[str, str], float]:
    """Return the automatic points by student and cell, as stock has written them."""
    query = """
        select submitted_assignment.student_id, base_cell.name, grade.auto_score
        from grade join base_cell on base_cell.id = grade.cell_id
        join submitted_notebook on submitted_notebook.id = grade.notebook_id
        join submitted_assignment
            on submitted_assignment.id = submitted_notebook.assignment_id
    """
    with contextlib.closing(sqlite3.connect(folder / "gradebook.db")) as connection:
        rows = connection.execute(query).fetchall()
    return {(s, cell): score for s, cell, score in rows if score is not None}


def run_ours(folder: Path, jobs: int) -> Measured:
    command = [sys.executable, "-m", "grader", "autograde", ASSIGNMENT, "--json"]
    return measure([*command, "--jobs", str(jobs)], folder)


def compare(num: int, num_stock: int, jobs: int) -> dict:
    """Return the figures of ``num`` submissions, ``num_stock`` of them graded both
    ways: half by stock, all by ours, the other half by stock."""
    with tempfile.TemporaryDirectory(prefix="fovea-bench-") as place:
        folder = make_course(Path(place, "ours"), num)
        students = sorted(p.name for p in (folder / "submitted").iterdir())[:num_stock]
        halves = [students[::2], students[1::2]]
        others = [
            make_stock_course(Path(place, f"stock-{i}"), folder, half)
            for i, half in enumerate(halves)
        ]
        _say(f"stock: {len(halves[0])} submissions")
        stock = run_stock(others[0])
        _say(f"ours: {num} submissions")
        ours = run_ours(folder, jobs)
        _say(f"stock: {len(halves[1])} submissions")
        stock += run_stock(others[1])
        results = json.loads(ours.output)["submissions"]
        scores = stock_scores(others[0]) | stock_scores(others[1])
    return figures(ours, stock, num, num_stock, jobs, results) | {
        "differences": different(results, scores)
    }


def different(results: list[dict], stock: dict[tuple[str, str], float]) -> list[str]:
    """Return, in words, each cell whose points differ between the two."""
    return [
        f"{result['student']} {cell['grade_id']}: {cell['score']:g}, stock {theirs:g}"
        for result in results
        for cell in result["cells"]
        if cell["score"] is not None
        and (theirs := stock.get((result["student"], cell["grade_id"]))) is not None
        and theirs != cell["score"]
    ]


def figures(
    ours: Measured,
    stock: Measured,
    num: int,
    num_stock: int,
    jobs: int,
    results: list[dict],
) -> dict:
    """Return ratios, and where the time of one submission goes, in seconds."""
    parts = {
        name: statistics.fmean(r["seconds"].get(name, 0) for r in results)
        for name in ("cells", "checks", "sandbox")
    }
    busy = ours.wall_s * jobs / num
    return {
        "throughput_ratio": (num / ours.wall_s) / (num_stock / stock.wall_s),
        "cpu_ratio": (stock.cpu_s / num_stock) / (ours.cpu_s / num),
        "overhead_s": busy - parts["cells"] - parts["checks"],
        "peak_mb": ours.peak_mb,
        "ours_per_s": num / ours.wall_s,
        "stock_per_s": num_stock / stock.wall_s,
        "ours_cpu_s": ours.cpu_s / num,
        "stock_cpu_s": stock.cpu_s / num_stock,
        "seconds": parts | {"rest": busy - sum(parts.values())},
        "submissions": num,
        "stock_submissions": num_stock,
        "jobs": jobs,
    }


def scaling(sizes: Sequence[int], jobs: int) -> list[dict]:
    """Return time and memory of ours alone for classes of these sizes."""
    rows = []
    with tempfile.TemporaryDirectory(prefix="fovea-bench-") as place:
        for size in sizes:
            _say(f"{size} submissions")
            found = run_ours(make_course(Path(place, str(size)), size), jobs)
            rows.append(
                {
                    "submissions": size,
                    "wall_s": found.wall_s,
                    "cpu_s": found.cpu_s,
                    "peak_mb": found.peak_mb,
                }
            )
    return rows


def _say(text: str) -> None:
    print(f"- {text}", file=sys.stderr)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--submissions", type=int, default=100, metavar="N")
    parser.add_argument("--stock", type=int, metavar="N", help="how many stock grades")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, metavar="N")
    parser.add_argument("--sizes", type=int, nargs="+", metavar="N")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.sizes:
        found = scaling(options.sizes, options.jobs)
    else:
        num_stock = options.stock or max(2, min(12, options.submissions // 4))
        found = compare(options.submissions, num_stock, options.jobs)
    if options.json:
        print(json.dumps(found))
        return
    for row in found if isinstance(found, list) else [found]:
        for name, value in row.items():
            if name == "seconds":
                shares = "  ".join(f"{k} {v:.2f}" for k, v in value.items())
                print(f"{'of one submission':18} {shares}   (seconds of a worker)")
            elif name == "differences":
                print(f"{name:18} {len(value)}", *value, sep="\n  ")
            else:
                print(f"{name:18} {value:.3g}" if value % 1 else f"{name:18} {value}")
        print()


if __name__ == "__main__":
    main()
