"""Run a rebuilt notebook in a kernel of its own, within limits, and bring back its
outputs.

``run`` is a pure function of its task, so that a process pool, or any other place, can
do it. A cell that hangs, prints without end or kills the kernel costs that cell: the
kernel is replaced, the notebook run again without the cell, and what is left goes on.
"""

import asyncio
import contextlib
import os
import queue
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import nbformat
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from nbformat import NotebookNode
from traitlets.config import Config

from grader.rebuild import is_graded, is_manual

NOT_GRADED = "NotGraded"
# how long a kernel may take to give up a cell that is interrupted
INTERRUPT_S = 3


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What the run of one notebook may take."""

    # training cells of honest students take seconds; a hang should not hold up a class
    # for long
    cell_s: float = 60
    notebook_s: float = 300
    output_bytes: int = 1_000_000
    memory_bytes: int = 8_000_000_000
    # how many cells may kill the kernel before the rest is given up
    crashes: int = 4


@dataclass(frozen=True, kw_only=True)
class Task:
    """One notebook to run, as JSON text, and whose work it is (``None``: one's own).

    It runs in an empty folder of its own: an assignment is one notebook.
    """

    notebook: str
    student: str | None = None
    secret: str = ""
    limits: Limits = Limits()


def run(task: Task) -> str:
    """Return the notebook's JSON text with outputs; graded cells that did not run say
    so."""
    notebook = nbformat.reads(task.notebook, as_version=4)
    stopped: dict[int, NotebookNode] = {}
    budget = _Budget(task.limits.notebook_s)
    for _ in range(task.limits.crashes + 1):
        _fail_closed(notebook, stopped)
        with tempfile.TemporaryDirectory(prefix="fovea-") as folder:
            client = _Client(notebook, task.limits, Path(folder))
            culprit = asyncio.run(_attempt(client, task, stopped, budget))
        if culprit is None:
            break
    return nbformat.writes(notebook)


@dataclass
class _Budget:
    """The seconds that cells may still take; starting a kernel costs nothing."""

    left_s: float


def _fail_closed(notebook: NotebookNode, stopped: dict[int, NotebookNode]) -> None:
    """Let every cell say that it did not run, until it has."""
    for i, cell in enumerate(notebook.cells):
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
            if i in stopped:
                cell.outputs = [stopped[i]]
            elif is_graded(cell) and not is_manual(cell):
                cell.outputs = [_error(NOT_GRADED, "the run ended before this cell")]


def _error(name: str, text: str) -> NotebookNode:
    return nbformat.v4.new_output(
        "error", ename=name, evalue=text, traceback=[f"\x1b[0;31m{name}\x1b[0m: {text}"]
    )


async def _attempt(
    client: "_Client", task: Task, stopped: dict[int, NotebookNode], budget: "_Budget"
) -> int | None:
    """Run all cells but the ``stopped`` ones; return the cell that took the kernel
    down, if any."""
    notebook = client.nb
    async with client.async_setup_kernel(env=_environment(task)):
        client.limit_memory()
        for i, cell in enumerate(notebook.cells):
            if cell.cell_type != "code" or i in stopped or not cell.source.strip():
                continue
            if budget.left_s <= 0:
                _time_is_up(notebook, i, task.limits)
                return None
            fault = await client.run_cell(cell, i, budget)
            if fault is not None:
                stopped[i] = fault
                cell.outputs = [fault]
                return i
    return None


def _time_is_up(notebook: NotebookNode, start: int, limits: Limits) -> None:
    text = (
        f"the notebook took more than {limits.notebook_s:g} s; this cell was not"
        " reached"
    )
    for cell in notebook.cells[start:]:
        if cell.cell_type == "code" and is_graded(cell):
            cell.outputs = [_error("TimeLimit", text)]


def _environment(task: Task) -> dict[str, str]:
    """Return the kernel's environment: one thread, so that the same work gives the same
    numbers."""
    environment = dict(os.environ)
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        environment[name] = "1"
    environment.pop("FOVEA_STUDENT", None)
    if task.student is not None:
        environment["FOVEA_STUDENT"] = task.student
    environment["FOVEA_SECRET"] = task.secret
    environment["PYTHONHASHSEED"] = "0"
    return environment


class _Client(NotebookClient):
    """Nbclient, with a limit on what a cell prints and no patience for kernels that
    hang."""

    def __init__(self, notebook: NotebookNode, limits: Limits, folder: Path):
        (folder / "work").mkdir()
        super().__init__(
            notebook,
            kernel_name="python3",
            kernel_manager_class=AsyncKernelManager,
            allow_errors=True,
            interrupt_on_timeout=False,
            coalesce_streams=True,
            store_widget_state=False,
            shutdown_kernel="immediate",
            resources={"metadata": {"path": str(folder / "work")}},
            # sockets in a folder of ours: no port that others on the machine could
            # reach
            config=Config(
                {"KernelManager": {"transport": "ipc", "ip": f"{folder}/kernel"}}
            ),
        )
        self.limits = limits
        self.printed = 0

    def limit_memory(self) -> None:
        size = self.limits.memory_bytes
        code = (
            f"import resource as r; r.setrlimit(r.RLIMIT_AS, ({size}, {size})); del r"
        )
        self.kc.execute(code, silent=True, store_history=False)

    async def run_cell(
        self, cell: NotebookNode, i: int, budget: _Budget
    ) -> NotebookNode | None:
        """Run a cell; return the error to show if the kernel did not survive it."""
        self.printed = 0
        last = budget.left_s < self.limits.cell_s
        self.timeout = max(1, round(min(self.limits.cell_s, budget.left_s)))
        start = time.monotonic()
        try:
            await self.async_execute_cell(cell, i)
        except CellTimeoutError:
            alive = await self._interrupted()
            budget.left_s = 0 if last else budget.left_s
            text = f"the cell took more than {self.timeout:g} s and was stopped"
            cell.outputs = [_error("TimeLimit", text)]
        except DeadKernelError:
            text = "the code ended its own process (exit, a crash, or too much memory)"
            return _error("KernelDied", text)
        else:
            alive = True
        finally:
            budget.left_s -= time.monotonic() - start
        if self.printed > self.limits.output_bytes:
            cell.outputs = [self._flood()]
        return None if alive else cell.outputs[-1]

    async def _interrupted(self) -> bool:
        """Interrupt the kernel; tell whether it gave up what it was doing."""
        await self.km.interrupt_kernel()
        request = self.kc.kernel_info()
        with contextlib.suppress(queue.Empty):
            while True:
                reply = await self.kc.get_shell_msg(timeout=INTERRUPT_S)
                if reply["parent_header"].get("msg_id") == request:
                    return True
        return False

    def _flood(self) -> NotebookNode:
        text = (
            f"the cell printed more than {self.limits.output_bytes / 1e6:g} MB and was"
            " stopped"
        )
        return _error("OutputLimit", text)

    def output(self, outs, msg, display_id, cell_index):
        content = msg["content"]
        self.printed += len(content.get("text", "")) + sum(
            len(str(value)) for value in content.get("data", {}).values()
        )
        if self.printed <= self.limits.output_bytes:
            return super().output(outs, msg, display_id, cell_index)
        asyncio.ensure_future(self.km.interrupt_kernel())
        return None
