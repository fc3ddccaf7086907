"""Where tasks run: warm workers on this machine, or a dask cluster."""

import atexit
import platform
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from queue import LifoQueue
from typing import Any, Protocol

from grader.course import BadInput
from grader.execution import Task
from grader.fingerprint import grader_code
from grader.sandbox import NoSandbox, probe
from grader.worker import Worker, WorkerFailed


class Executor(Protocol):
    """Runs tasks somewhere; the future's result is the executed notebook's JSON
    text."""

    enclosed: bool
    jobs: int

    def submit(self, task: Task) -> Future: ...


class _Threads:
    """Threads of this process that wait, each for one of the workers."""

    def __init__(self, jobs: int, enclosed: bool):
        self.pool = ThreadPoolExecutor(jobs)
        self.jobs, self.enclosed = jobs, enclosed
        self.workers = [Worker(enclosed) for _ in range(jobs)]
        # who was used last comes first: few tasks start few workers
        self.idle: LifoQueue[Worker] = LifoQueue()
        for worker in self.workers[::-1]:
            self.idle.put(worker)
        # one is needed in any case, and warms up while the class is read
        self.workers[0].start()

    def submit(self, task: Task) -> Future:
        return self.pool.submit(self._run, task)

    def _run(self, task: Task) -> str:
        worker = self.idle.get()
        try:
            return worker.run(task)
        finally:
            self.idle.put(worker)

    def close(self) -> None:
        # what runs is lost, and graded again next time
        self.pool.shutdown(wait=False, cancel_futures=True)
        for worker in self.workers:
            worker.kill()
        self.pool.shutdown()
        for worker in self.workers:
            worker.close()


@contextmanager
def local(jobs: int, sandbox: bool = True) -> Iterator[Executor]:
    """Yield an executor with ``jobs`` workers on this machine.

    Raises ``BadInput`` if student code should run in a sandbox and there is none.
    """
    if sandbox:
        check_sandbox()
    threads = _Threads(jobs, sandbox)
    try:
        yield threads
    finally:
        threads.close()


# warm as long as this process lives, a Jupyter server's too; by whether in a sandbox
_own: dict[bool, Worker] = {}


def own_worker(sandbox: bool) -> Worker:
    """Return this process's own worker, which warms up if it is new.

    Raises ``BadInput`` if student code should run in a sandbox and there is none.
    """
    if sandbox:
        check_sandbox()
    if sandbox not in _own:
        _own[sandbox] = Worker(sandbox)
        atexit.register(_own[sandbox].close)
    _own[sandbox].start()
    return _own[sandbox]


def run_here(task: Task, sandbox: bool) -> str:
    """Run ``task`` in this process's own worker."""
    return own_worker(sandbox).run(task)


def check_sandbox() -> None:
    """Raise ``BadInput`` if there is no sandbox on this machine."""
    try:
        probe()
    except NoSandbox as error:
        raise BadInput(f"{error}") from None


@contextmanager
def dask(
    address: str, sandbox: bool = True, timeout_s: float = 20
) -> Iterator[Executor]:
    """Yield an executor on the dask cluster whose scheduler is at ``address``.

    Its workers decide verdicts, so they have to be trusted.
    """
    try:
        from distributed import Client
    except ModuleNotFoundError:
        raise BadInput(
            "--dask needs dask's scheduler; in the project's folder:"
            " pip install -c constraints.txt -e '.[dask]'"
        ) from None
    try:
        client = Client(address, timeout=timeout_s)
    except (OSError, ValueError) as error:
        raise BadInput(f"no dask scheduler answers at {address}: {error}") from None
    with client:
        # a worker that is lost takes a task with it; two more may try
        yield _Cluster(client, sandbox)


class _Cluster:
    def __init__(self, client: Any, enclosed: bool):
        # a worker that is lost takes a task with it; two more may try
        self.executor = client.get_executor(pure=False, retries=2)
        self.jobs, self.enclosed = sum(client.nthreads().values()), enclosed

    def submit(self, task: Task) -> Future:
        text = task.to_json()
        return self.executor.submit(_run_there, text, self.enclosed, grader_code())


_here = threading.local()


def _run_there(task: str, enclosed: bool, code: str) -> str:
    """Run on a worker of the cluster, which keeps one warm worker for each thread."""
    if code != grader_code():
        raise WorkerFailed(
            f"the worker on {platform.node()} has another version of the grader or of"
            " its checks; bring it to the same commit and start it again"
        )
    if not hasattr(_here, "worker"):
        if enclosed:
            check_sandbox()
        _here.worker = Worker(enclosed)
    return _here.worker.run(Task.from_json(task))
