import json
import os
import signal
import threading
import time
from concurrent.futures import CancelledError
from pathlib import Path

import nbformat
import pytest

from grader import executors
from grader.course import BadInput
from grader.execution import Limits, Task
from grader.plan import plan
from grader.sandbox import NoSandbox
from grader.verdicts import read_verdicts
from grader.worker import WorkerFailed
from tests.grader.running import graded, solution

SANDBOXED = [pytest.mark.slow, pytest.mark.sandbox]


def task(number, code="def f(x): return 2 * x"):
    cells = [solution(code), graded(f"assert f({number}) == {2 * number}")]
    for i, cell in enumerate(cells):
        cell.metadata.nbgrader["grade_id"] = f"t-{i}"
    notebook = nbformat.v4.new_notebook(cells=cells)
    return Task(
        notebook=json.dumps(notebook),
        needs=plan(notebook),
        student=f"s{number}",
        limits=Limits(cell_s=30),
    )


def score(text):
    (verdict,) = read_verdicts(nbformat.reads(text, as_version=4))
    return verdict.score


class TestLocal:
    pytestmark = SANDBOXED

    def test_tasks_run_side_by_side_each_with_its_own_result(self):
        wrong = "def f(x): return 3 * x"
        with executors.local(2) as executor:
            right = [executor.submit(task(n)) for n in range(1, 4)]
            bad = executor.submit(task(9, wrong))
            assert [score(f.result()) for f in right] == [1, 1, 1]
            assert score(bad.result()) == 0

    def test_one_task_after_another_takes_one_worker(self):
        with executors.local(3) as executor:
            assert [score(executor.submit(task(n)).result()) for n in (1, 2)] == [1, 1]
            assert [w._process is not None for w in executor.workers].count(True) == 1

    def test_a_lost_worker_costs_its_task_and_is_replaced(self):
        nap = "import time\ndef f(x): time.sleep(30)"
        with executors.local(1) as executor:
            assert score(executor.submit(task(1)).result()) == 1
            (worker,) = executor.workers
            lost = executor.submit(task(2, nap))
            killer = threading.Timer(1, worker._process.kill)
            killer.start()
            with pytest.raises(WorkerFailed):
                lost.result()
            assert score(executor.submit(task(3)).result()) == 1

    def test_leaving_early_ends_everything(self):
        nap = "import time\ndef f(x): time.sleep(30)"
        with executors.local(1) as executor:
            executor.submit(task(1)).result()
            waiting = executor.submit(task(2, nap))
            pid = executor.workers[0]._process.pid
            start = time.monotonic()
        assert time.monotonic() - start < 10
        with pytest.raises((WorkerFailed, CancelledError)):
            waiting.result()
        assert not Path(f"/proc/{pid}").exists()


def test_without_a_sandbox_nothing_starts(monkeypatch):
    def none():
        raise NoSandbox("bubblewrap is missing: sudo apt-get install bubblewrap")

    monkeypatch.setattr(executors, "probe", none)
    with pytest.raises(BadInput, match="apt-get install bubblewrap"):
        with executors.local(1):
            raise AssertionError("must not get here")


@pytest.fixture(scope="module")
def cluster():
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None
    ) as cluster:
        yield cluster


class TestDask:
    pytestmark = SANDBOXED

    def test_class_completes_when_a_worker_is_killed(self, cluster):
        slow = "import time\ndef f(x): time.sleep(0.3); return 2 * x"
        with executors.dask(cluster.scheduler_address) as executor:
            futures = [executor.submit(task(n, slow)) for n in range(1, 13)]
            assert score(futures[0].result()) == 1
            os.kill(next(iter(cluster.workers.values())).pid, signal.SIGKILL)
            assert [score(f.result()) for f in futures] == [1] * 12

    def test_other_code_is_refused(self, cluster, monkeypatch):
        monkeypatch.setattr(executors, "grader_code", lambda: "other")
        with executors.dask(cluster.scheduler_address) as executor:
            with pytest.raises(WorkerFailed, match="another version of the grader"):
                executor.submit(task(1)).result()

    def test_nobody_at_the_address(self):
        with pytest.raises(BadInput, match="no dask scheduler answers"):
            with executors.dask("tcp://127.0.0.1:9", timeout_s=1):
                raise AssertionError("must not get here")
