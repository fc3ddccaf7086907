"""A copy of the course, served by its own `make lab` and driven in chromium.

Each test works in a copy, with a home folder of its own, so that it neither finds nor
leaves anything. A request to another host than the server fails the test that makes it.
With FOVEA_SCREENSHOTS set to a folder, the pictures that tests take are kept there.
"""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright import sync_api

ROOT = Path(__file__).parents[2]
COPIED = (
    "Makefile",
    "nbgrader_config.py",
    "lectures",
    "assignments",
    "solutions",
    "tools",
)
# On a busy machine of two cores; where all is well, things take a tenth of it.
START_S = 60
ACTION_MS = 60_000
sync_api.expect.set_options(timeout=ACTION_MS)
CHROMIUM_OPTIONS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


@pytest.fixture
def course(tmp_path: Path) -> Path:
    """A copy of the course with the environment of the original."""
    root = tmp_path / "course"
    root.mkdir()
    for name in COPIED:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, root / name)
    (root / ".venv").symlink_to(sys.prefix)
    return root


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """The environment of a person without any settings."""
    home = tmp_path / "home"
    home.mkdir()
    strange = ("JUPYTER", "IPYTHON", "FOVEA", "XDG", "MPL", "PYTHON", "COV")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(strange)}
    return kept | {"HOME": str(home)}


@pytest.fixture
def server(course: Path, environment: dict[str, str]) -> Iterator[str]:
    """The address of JupyterLab, started by `make lab` in the copied course."""
    options = f"--no-browser --port={_free_port()} --IdentityProvider.token="
    options += " --ServerApp.port_retries=0 --expose-app-in-browser"
    # -o: the environment is there, and belongs to the original
    command = ["make", "-o", "setup", "lab", f"LAB_ARGS={options}"]
    process = subprocess.Popen(
        command,
        cwd=course,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    log = _Log(process)
    try:
        yield log.address()
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(START_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
        log.thread.join()
        process.stdout.close()
        print("".join(log.lines))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class _Log:
    """What a server prints; it tells its address there when it is up."""

    def __init__(self, process: subprocess.Popen):
        self.process = process
        self.lines: list[str] = []
        self.found = threading.Event()
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self) -> None:
        for line in self.process.stdout:
            self.lines.append(line)
            if "http://127.0.0.1" in line:
                self.found.set()
        self.found.set()

    def address(self) -> str:
        self.found.wait(START_S)
        shown = re.search(r"http://127\.0\.0\.1:\d+", "".join(self.lines))
        assert shown, f"`make lab` did not come up:\n{''.join(self.lines)}"
        return shown[0]


@pytest.fixture(scope="session")
def chromium() -> Iterator[sync_api.Browser]:
    """Debian's chromium."""
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=CHROMIUM_OPTIONS
        )
        yield browser
        browser.close()


@pytest.fixture
def page(chromium, server: str) -> Iterator[sync_api.Page]:
    """A tab that reaches the course's server, and fails the test if it asks others."""
    context = chromium.new_context(viewport={"width": 1400, "height": 950})
    context.set_default_timeout(ACTION_MS)
    asked, errors = [], []
    context.on("request", lambda request: asked.append(request.url))
    context.on("weberror", lambda error: errors.append(str(error.error)))
    context.route(lambda url: is_outside(url, server), lambda route: route.abort())
    page = context.new_page()
    page.on("websocket", lambda socket: asked.append(socket.url))
    yield page
    context.close()
    assert asked, "the browser's requests were not recorded"
    assert [url for url in asked if is_outside(url, server)] == []
    assert errors == []


def is_outside(url: str, server: str) -> bool:
    """Tell whether a request leaves for another host than the server."""
    if url.startswith(("data:", "blob:", "about:")):
        return False
    return urlsplit(url).netloc != urlsplit(server).netloc


@pytest.fixture
def snap(tmp_path: Path) -> Callable[..., None]:
    """A function that takes a picture of a page."""
    folder = Path(os.environ.get("FOVEA_SCREENSHOTS") or tmp_path / "screenshots")

    def take(page, name: str, **options) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=folder / f"{name}.png", **options)

    return take


@pytest.fixture
def lab(page, server: str) -> "Lab":
    """JupyterLab, open and ready."""
    lab = Lab(page)
    lab.open(f"{server}/lab")
    return lab


class Lab:
    """JupyterLab in a page: its commands, and what its notebooks hold.

    Commands go through the application, since clicks in menus get lost at times.
    """

    def __init__(self, page):
        self.page = page

    def open(self, address: str) -> None:
        """Go to an address of JupyterLab and wait until it is ready."""
        self.page.goto(address)
        # one condition: it survives that the page loads once more on its way
        ready = "window.jupyterapp && jupyterapp.restored.then(() => true)"
        self.page.wait_for_function(ready)

    def execute(self, command: str, **arguments):
        """Run a command of JupyterLab and wait until it is done."""
        call = "([name, args]) => jupyterapp.commands.execute(name, args).then(() => 0)"
        return self.page.evaluate(call, [command, arguments])

    def open_notebook(self, path: str) -> None:
        """Open a notebook and wait for its kernel."""
        self.execute("docmanager:open", path=path)
        self.wait_for_kernel(path)

    def wait_for_kernel(self, path: str) -> None:
        """Wait until the notebook at ``path`` is in front, and has a kernel."""
        self.page.wait_for_function(
            "path => jupyterapp.shell.currentWidget?.context?.path === path", arg=path
        )
        ready = """async () => {
            const panel = jupyterapp.shell.currentWidget;
            await panel.context.ready;
            await panel.sessionContext.ready;
            await panel.sessionContext.session.kernel.info;
        }"""
        self.page.evaluate(ready)

    def run_all(self) -> list[dict]:
        """Run all cells of the notebook in front; return what became of them."""
        self.execute("notebook:run-all-cells")
        return self.cells()

    def run_cells(self, *positions: int) -> list[dict]:
        """Run some cells of the notebook in front; return what became of all."""
        for position in positions:
            self.select(position)
            self.execute("notebook:run-cell")
        return self.cells()

    def select(self, position: int) -> None:
        """Make a cell the active one."""
        self.page.evaluate(
            """i => {
                const notebook = jupyterapp.shell.currentWidget.content;
                notebook.deselectAll();
                notebook.activeCellIndex = i;
            }""",
            position,
        )

    def cells(self) -> list[dict]:
        """Return the cells of the notebook in front, as they would be saved."""
        return self.page.evaluate(
            "() => jupyterapp.shell.currentWidget.content.model.toJSON().cells"
        )

    def cell(self, position: int):
        """Return where a cell of the notebook in front is on the page, in view."""
        self.select(position)
        self.page.evaluate(
            """i => jupyterapp.shell.currentWidget.content.scrollToItem(i)""", position
        )
        panel = self.page.locator(".jp-NotebookPanel:not(.lm-mod-hidden)")
        return panel.locator(f'.jp-Cell[data-windowed-list-index="{position}"]')

    def save(self) -> None:
        """Save the document in front."""
        self.execute("docmanager:save")
