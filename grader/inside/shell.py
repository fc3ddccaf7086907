"""Run a student's cells in this process, with the outputs that Jupyter would show.

A Jupyter kernel takes seconds to start, a network, and threads; an IPython shell in a
forked child of a warm process takes neither. What surrounds the shell here does what a
kernel (ipykernel) and what reads from it (nbclient) do: streams, displays, figures,
widgets, limits.
"""

import asyncio
import builtins
import contextlib
import gc
import getpass
import inspect
import os
import signal
import sys
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import comm
from comm.base_comm import BaseComm
from IPython.core import page
from IPython.core.autocall import ZMQExitAutocall
from IPython.core.compilerop import CachingCompiler
from IPython.core.displayhook import DisplayHook
from IPython.core.displaypub import DisplayPublisher
from IPython.core.error import StdinNotImplementedError
from IPython.core.interactiveshell import InteractiveShell
from IPython.core.profiledir import ProfileDir
from traitlets import Any as AnyTrait
from traitlets import Instance, Type, default
from traitlets.config import Config

from grader.inside.outputs import (
    Collector,
    OutputLimit,
    OutStream,
    error_output,
    shortened,
)

INLINE = "matplotlib_inline.backend_inline"


@dataclass
class Ran:
    """What a cell left: its outputs (nbformat 4), and a ``flag`` that is "OutputLimit"
    if it printed too much, else empty.

    A cell can change what an earlier one displayed: ``changed_earlier`` holds all
    outputs of such cells, by their place (0, 1, ...) in the order of running.
    """

    outputs: list[dict[str, Any]]
    execution_count: int
    flag: str = ""
    changed_earlier: dict[int, list[dict[str, Any]]] = field(default_factory=dict)


class Shell:
    """A notebook's cells, run one after the other in one namespace.

    It may be made before the fork; what belongs to a process (files, an event loop) is
    made when the first cell runs. There can be one in a process.
    """

    def __init__(self, *, output_bytes: int = 1_000_000) -> None:
        self.collector = Collector(output_bytes)
        self.streams = {n: OutStream(n, self.collector) for n in ("stdout", "stderr")}
        self.loop: asyncio.AbstractEventLoop | None = None
        self.ipython = _new_shell(self.collector)

    @property
    def namespace(self) -> dict[str, Any]:
        """The global names of the cells."""
        return self.ipython.user_ns

    def close(self) -> None:
        """Let go of the files, the event loop and the names."""
        self.ipython.reset(new_session=False)
        for file in self.collector.files.values():
            file.close()
        if self.loop:
            self.loop.close()

    def run_cell(self, source: str) -> Ran:
        """Run a cell to its end, whatever it does, short of killing the process."""
        here = os.getpid()
        # The first: an interrupt may come just before or after the cell itself.
        with contextlib.suppress(KeyboardInterrupt), self.capturing(cell=True):
            self._run(source)
        if os.getpid() != here:
            # The cell forked, and this is the copy: it must not answer for the cell.
            os._exit(0)
        return Ran(
            self.collector.outputs,
            self.ipython.execution_count - 1,
            "OutputLimit" if self.collector.full else "",
            self.collector.changed_earlier(),
        )

    @contextlib.contextmanager
    def capturing(self, *, cell: bool = False) -> Iterator[list[dict[str, Any]]]:
        """Gather what is printed and displayed within; the list is filled at the end.

        Within, SIGINT raises ``KeyboardInterrupt``, ``input`` an error, and too much
        output ``OutputLimit``; outside, SIGINT does nothing.
        """
        outputs = self.collector.begin(cell)
        saved = sys.stdout, sys.stderr, builtins.input, getpass.getpass
        sys.stdout, sys.stderr = self.streams["stdout"], self.streams["stderr"]
        builtins.input, getpass.getpass = _no_input("raw_input"), _no_input("getpass")
        try:
            with self.collector.descriptors():
                signal.signal(signal.SIGINT, signal.default_int_handler)
                try:
                    yield outputs
                finally:
                    signal.signal(signal.SIGINT, signal.SIG_IGN)
        finally:
            sys.stdout, sys.stderr, builtins.input, getpass.getpass = saved
            self.collector.finish()

    def _run(self, source: str) -> None:
        """Run a cell within an event loop, as a kernel does."""
        if self.loop is None:
            self.loop = asyncio.new_event_loop()
            self.namespace["_dh"][:] = [Path.cwd()]
        task = self.loop.create_task(self._execute(source))
        try:
            try:
                self.loop.run_until_complete(task)
            except KeyboardInterrupt:
                # It came while a top-level await was waiting: stop what it waits for.
                task.cancel()
                self.loop.run_until_complete(task)
        except OutputLimit:
            pass
        except BaseException as error:
            # What IPython didn't catch, such as an interrupt while it shows an error.
            with contextlib.suppress(BaseException):
                self.collector.add(error_output(type(error).__name__, str(error)))

    async def _execute(self, source: str) -> None:
        shell, problem = self.ipython, None
        try:
            code = shell.transform_cell(source)
        except Exception:
            code, problem = source, sys.exc_info()
        parsed = {"transformed_cell": code, "preprocessing_exc_tuple": problem}
        result = None
        try:
            result = await shell.run_cell_async(source, store_history=True, **parsed)
        finally:
            shell.events.trigger("post_execute")
            shell.events.trigger("post_run_cell", result)


def _no_input(name: str) -> Callable:
    def ask(*_: Any, **__: Any) -> str:
        raise StdinNotImplementedError(
            f"{name} was called, but this frontend does not support input requests."
        )

    return ask


class _Compiler(CachingCompiler):
    def get_code_name(self, raw_code: str, code: str, number: int) -> str:
        # Jupyter's has the number of the process, too, which is never the same twice.
        name = f"/tmp/ipykernel/{zlib.crc32(raw_code.encode(errors='replace'))}.py"
        # an error would look for it among the files of thousands of modules
        inspect.modulesbyfile[name] = "__main__"
        return name


class _DisplayHook(DisplayHook):
    def write_output_prompt(self) -> None:
        pass

    def write_format_data(self, format_dict: dict, md_dict: dict | None = None) -> None:
        self.shell.collector.add(
            {
                "output_type": "execute_result",
                "data": format_dict,
                "metadata": md_dict or {},
                "execution_count": self.prompt_count,
            }
        )


class _DisplayPublisher(DisplayPublisher):
    def publish(
        self, data, metadata=None, *, transient=None, update=False, **_: Any
    ) -> None:
        self._validate_data(data, metadata)
        output = {"data": data, "metadata": metadata or {}}
        display_id = (transient or {}).get("display_id")
        self.shell.collector.add(
            {"output_type": "display_data", **output}, display_id, update
        )

    def clear_output(self, wait: bool = False) -> None:
        self.shell.collector.clear(wait)


# Named as in Jupyter: libraries look at the name.
class ZMQInteractiveShell(InteractiveShell):
    displayhook_class = Type(_DisplayHook)
    display_pub_class = Type(_DisplayPublisher)
    compiler_class = Type(_Compiler)
    exiter = Instance(ZMQExitAutocall)
    collector = AnyTrait()
    kernel = AnyTrait()

    @default("exiter")
    def _default_exiter(self) -> ZMQExitAutocall:
        return ZMQExitAutocall(self)

    def init_environment(self) -> None:
        colors = dict.fromkeys(("CLICOLOR", "FORCE_COLOR", "CLICOLOR_FORCE"), "1")
        os.environ.update(colors, TERM="xterm-color", PAGER="cat", GIT_PAGER="cat")

    def init_hooks(self) -> None:
        super().init_hooks()
        # Help opens beside a notebook, not in it.
        self.set_hook("show_in_pager", page.as_hook(lambda *_, **__: None), 99)

    def _get_exc_info(self, exc_tuple: tuple | None = None) -> tuple:
        # IPython takes milliseconds to describe a frame; a recursion has thousands
        kind, error, trace = super()._get_exc_info(exc_tuple)
        return kind, error, shortened(trace)

    def _showtraceback(self, etype: type, evalue: Any, stb: list[str]) -> None:
        self.collector.add(error_output(etype.__name__, str(evalue), stb))

    def _format_exception_for_storage(self, *_: Any, **__: Any) -> dict[str, Any]:
        # For a history that is not kept; it takes as long as showing the error.
        return {}

    def ask_exit(self) -> None:
        """Go on: a notebook doesn't end before its last cell."""

    def enable_gui(self, gui: str | None = None) -> None:
        """Do nothing: there is no screen."""

    def set_next_input(self, s: str, replace: bool = False) -> None:
        """Do nothing: cells come from the notebook."""

    # An output widget needs these to gather what is displayed within it.
    def get_parent(self) -> dict[str, Any]:
        return {"header": {"msg_id": "cell"}}

    def set_parent(self, parent: dict[str, Any]) -> None:
        pass


class _Comm(BaseComm):
    """Leads nowhere: no browser is there to show a widget."""

    def publish_msg(self, msg_type: str, data=None, *_: Any, **__: Any) -> None:
        message = (data or {}).get("state", {}).get("msg_id")
        widgets = InteractiveShell.instance().collector.widgets
        if message:
            widgets.append(self.comm_id)
        elif message == "" and self.comm_id in widgets:
            widgets.remove(self.comm_id)


def _new_shell(collector: Collector) -> ZMQInteractiveShell:
    os.environ["MPLBACKEND"] = f"module://{INLINE}"
    if "" not in sys.path:
        # The working folder comes after the standard library.
        installed = [i for i, path in enumerate(sys.path) if "site-packages" in path]
        sys.path.insert(min(installed, default=len(sys.path)), "")
    # tqdm looks for this to know that it is in a notebook.
    sys.modules.setdefault("ipykernel.zmqshell", sys.modules[__name__])
    comm.create_comm = _Comm
    if "matplotlib.pyplot" in sys.modules and InteractiveShell.initialized():
        sys.modules["matplotlib.pyplot"].uninstall_repl_displayhook()
    ZMQInteractiveShell.clear_instance()
    shell = ZMQInteractiveShell.instance(
        collector=collector,
        kernel=SimpleNamespace(),
        # Without a place: nothing is read from or written to a home.
        ipython_dir="",
        profile_dir=ProfileDir(),
        config=Config(
            HistoryManager={"enabled": False},
            # Libraries look for it to know that they are in a notebook.
            IPKernelApp={"parent_appname": "notebook"},
        ),
    )
    shell.db = {}
    if "matplotlib" in sys.modules:
        _attach_figures()
    return shell


def _attach_figures() -> None:
    """Let matplotlib, which was imported before this shell was made, know the shell."""
    import matplotlib
    from matplotlib_inline import backend_inline
    from matplotlib_inline.config import InlineBackend

    matplotlib.use(os.environ["MPLBACKEND"])
    InlineBackend.clear_instance()
    backend_inline.configure_inline_support.current_backend = "unset"
    backend_inline._enable_matplotlib_integration()


# One of each of the things that take long the first time in a process. In ms of CPU,
# imports take 2600, an optimizer 900, a plot 25, an error 10, the rest together 10.
FIRST_TIMES = {
    "error": "def f(x):\n    return 1 / x\n\nf(0)",
    "plot": (
        "import matplotlib.pyplot as plt\nfig, ax = plt.subplots()\n"
        "ax.plot([1, 2], label='$x^2$')\nax.imshow([[1, 2]])\n"
        "ax.set(title='a', xlabel='b')\nax.legend()"
    ),
    "widgets": (
        # A bar of tqdm would start a thread.
        "import ipywidgets\nimport tqdm.auto\n"
        "ipywidgets.interact(lambda a: a, a=(0, 3))"
    ),
    "optimizer": (
        "import torch\nfrom torch import nn\nfrom torch.nn import functional\n"
        "net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(),"
        " nn.Linear(72, 2))\nadam = torch.optim.Adam(net.parameters())\n"
        "y = net(torch.zeros(4, 1, 8, 8))\n"
        "functional.cross_entropy(y, torch.zeros(4).long()).backward()\nadam.step()\n"
        "x = torch.zeros(2, requires_grad=True)\n"
        "torch.autograd.grad(x.sum(), x)\nrepr(x)"
    ),
    "data": (
        "import io\nimport fovea.data\n"
        "data = torch.utils.data.TensorDataset(torch.zeros(4, 1))\n"
        "for batch in torch.utils.data.DataLoader(data, 2, shuffle=True): pass\n"
        "torch.save(net.state_dict(), file := io.BytesIO())\nfile.seek(0)\n"
        "net.load_state_dict(torch.load(file))"
    ),
    "testing": (
        "import numpy as np\nfrom numpy.testing import assert_allclose\n"
        "assert_allclose(1, 1)\n"
        "torch.testing.assert_close(torch.ones(1), torch.ones(1))\n"
        "np.testing.assert_array_equal([1, 2], [1, 3])"
    ),
    "fovea": (
        "import fovea.data, fovea.open_checks, fovea.personal, fovea.widgets\n"
        "from fovea.plotting import describe, use_style\n"
        "fovea.data.load('digits')\nuse_style()\nfig, ax = plt.subplots()\n"
        "ax.set(yscale='log', yticks=[10.0**n for n in range(-8, 3)])\n"
        "describe(fig, 'the labels of a logarithmic axis')"
    ),
}


def warm_up(*, output_bytes: int = 1_000_000) -> Shell:
    """Do once, before any fork, what takes long the first time; return a shell that no
    cell has run in, for the children to use.

    Raises ``RuntimeError`` if the process has more than one thread afterwards: a child
    would wait for the others, which don't exist there, for ever.
    """
    threads = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    os.environ.update(dict.fromkeys(threads, "1"))
    handler = signal.getsignal(signal.SIGINT)
    gc.disable()  # there is no garbage among imports, and looking for it takes a while
    shell = Shell()
    for source in FIRST_TIMES.values():
        shell.run_cell(source)
    gc.freeze()  # closing looks for garbage, too
    shell.close()
    signal.signal(signal.SIGINT, handler)

    import matplotlib
    import torch

    torch.set_num_threads(1)
    matplotlib.rcdefaults()
    shell = Shell(output_bytes=output_bytes)
    gc.enable()
    gc.freeze()
    count = len(list(Path("/proc/self/task").iterdir()))
    if count != 1:
        raise RuntimeError(f"{count} threads after the warm-up; a fork needs just one")
    return shell
