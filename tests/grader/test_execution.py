import nbformat
import pytest

from grader.execution import Limits, Task, run
from grader.verdicts import read_verdicts

pytestmark = pytest.mark.slow


def graded(i, source):
    cell = nbformat.v4.new_code_cell(source, id=f"c{i}")
    tags = {"grade": True, "solution": False, "locked": True, "task": False}
    cell.metadata["nbgrader"] = {"grade_id": f"t-{i}", "points": 1, **tags}
    return cell


def verdicts(*sources, **limits):
    notebook = nbformat.v4.new_notebook(
        cells=[graded(i, s) for i, s in enumerate(sources)]
    )
    defaults = {"cell_s": 4, "notebook_s": 60}
    task = Task(
        notebook=nbformat.writes(notebook),
        student="ada",
        limits=Limits(**defaults | limits),
    )
    return read_verdicts(nbformat.reads(run(task), as_version=4))


FATAL = {
    "endless loop": ("while True: pass", "TimeLimit"),
    "swallows interrupts": (
        "while True:\n  try:\n    while True: pass\n  except BaseException: pass",
        "TimeLimit",
    ),
    "deaf to interrupts": (
        "import signal; signal.signal(2, signal.SIG_IGN)\nwhile True: pass",
        "TimeLimit",
    ),
    "exit": ("import os; os._exit(0)", "KernelDied"),
    "segmentation fault": ("import ctypes; ctypes.string_at(0)", "KernelDied"),
    "endless output": ("while True: print('x' * 1000)", "OutputLimit"),
    "one long line": ("print('x' * 5_000_000)", "OutputLimit"),
    "memory": ("bytearray(10_000_000_000)", "MemoryError"),
    "recursion": ("def f(): return f()\nf()", "RecursionError"),
}


@pytest.mark.parametrize(("code", "reason"), FATAL.values(), ids=FATAL.keys())
def test_fatal_cell_costs_itself_alone(code, reason):
    before, fatal, after = verdicts("a = 1", code, "assert a == 1")
    assert (before.score, fatal.score, after.score) == (1, 0, 1)
    assert fatal.message.startswith(reason)


def test_stderr_and_warnings_cost_nothing():
    noisy = "import sys, warnings; warnings.warn('hm'); print('!', file=sys.stderr)"
    (verdict,) = verdicts(noisy)
    assert verdict.score == 1


def test_what_time_does_not_reach_scores_nothing():
    first, second, third = verdicts(
        "import time; time.sleep(1.5)", "time.sleep(9)", "1", notebook_s=3
    )
    assert first.score == 1
    assert (second.score, third.score) == (0, 0)
    assert "TimeLimit" in third.message


def test_cells_share_the_time_of_the_notebook():
    found = verdicts("import time", *["time.sleep(0.6)"] * 5, notebook_s=1.5)
    assert [v.score for v in found[:2]] == [1, 1]
    assert found[-1].message.startswith("TimeLimit: the notebook took more than")


def test_too_many_crashes_leave_the_rest_not_graded():
    found = verdicts(*["import os; os._exit(0)"] * 3, "1", crashes=1)
    assert [v.score for v in found] == [0, 0, 0, 0]
    assert "ended before" in found[-1].message


def test_kernel_knows_the_student_and_runs_one_thread():
    (verdict,) = verdicts(
        "import os, torch\n"
        "assert os.environ['FOVEA_STUDENT'] == 'ada'\n"
        "assert torch.get_num_threads() == 1",
        cell_s=30,
    )
    assert verdict.score == 1, verdict


def test_each_notebook_runs_in_an_empty_folder():
    (verdict,) = verdicts("import os\nassert not os.listdir(), os.listdir()")
    assert verdict.score == 1, verdict


def test_state_outlives_an_interrupted_cell():
    kept, loop, after = verdicts(
        "import time; start = time.time(); marks = []",
        "marks.append(1)\nwhile True: pass",
        "assert marks == [1]",
    )
    assert (kept.score, loop.score, after.score) == (1, 0, 1)
