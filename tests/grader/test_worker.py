import time

import nbformat
import psutil
import pytest

from grader.worker import Worker
from tests.grader.running import graded, printed, solution, task_of

pytestmark = pytest.mark.slow

# Needs the folder of the process: numpy's file reader asks for it.
CHECK = """
from grader.checks.digits import digits_data
assert f(len(digits_data()[0])) == 1437
"""


@pytest.fixture
def worker():
    worker = Worker(enclosed=False)
    yield worker
    worker.close()


def result(worker):
    """What a graded cell printed that ran in the worker: nothing if all is well."""
    task = task_of(solution("def f(x): return x"), graded(CHECK), cell_s=20)
    return printed(nbformat.reads(worker.run(task), as_version=4), 1)


def test_the_folder_in_which_a_worker_was_started_may_vanish(
    worker, tmp_path, monkeypatch
):
    folder = tmp_path / "course"
    folder.mkdir()
    monkeypatch.chdir(folder)
    worker.start()
    monkeypatch.chdir(tmp_path)
    folder.rmdir()
    assert result(worker) == ""


@pytest.mark.sandbox
def test_a_worker_that_is_not_needed_leaves_nothing_behind():
    processes = []
    for k in range(12):
        worker = Worker()
        worker.start()
        process = psutil.Process(worker._process.pid)
        # a little later each time
        time.sleep(0.1 * k)
        processes += [process, *process.children(recursive=True)]
        worker.kill()
        worker.close()
    _, left = psutil.wait_procs(processes, 10)
    assert not [p for p in left if p.status() != psutil.STATUS_ZOMBIE]


def test_a_worker_imports_nothing_from_the_folder_it_is_started_in(
    worker, tmp_path, monkeypatch
):
    for name in ("torch", "resource", "grader", "fovea"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('the wrong one')\n")
    monkeypatch.chdir(tmp_path)
    assert result(worker) == ""
