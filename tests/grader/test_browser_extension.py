"""The page that grades classes: its process, its counts, and its server."""

import asyncio
import http.cookiejar
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.error import HTTPError, URLError

import pytest

from grader.browser import page
from grader.browser.runs import Run
from grader.course import Course
from tests.grader.conftest import RIGHT, answer

ROOT = Path(__file__).parents[2]
WITHIN_S = 60
TOKEN = "a-secret"

# ------------------------------------------------------------------- the process

EVENTS = """
import json, sys
def tell(**event): print(json.dumps(event), flush=True)
"""
CLASS = (
    EVENTS
    + """
print("a library says hello")
tell(student="ada", score=3, max=6, skipped=True, done=1, total=3)
tell(student="bob", score=None, max=6, problem="damaged", done=2, total=3)
tell(student="eve", score=6, max=6, done=3, total=3)
tell(finished=True)
sys.exit(1)
"""
)


def run_of(*codes: str, then: Callable | None = None) -> list[Run]:
    """Run pieces of Python as graders, in turns; return them when they are done."""

    async def follow() -> list[Run]:
        turn = asyncio.Lock()
        runs = [Run([sys.executable, "-c", code], Path.cwd(), turn) for code in codes]
        if then:
            await then(*runs)
        for run in runs:
            await asyncio.wait_for(run.wait(), WITHIN_S)
        return runs

    return asyncio.run(follow())


async def until(condition: Callable[[], object]) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + WITHIN_S
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


def test_progress_is_what_the_process_tells():
    [run] = run_of(CLASS)
    told = run.to_dict()
    assert told["state"] == "finished"
    assert (told["done"], told["total"], told["skipped"]) == (3, 3, 1)
    assert [event["student"] for event in told["recent"]] == ["ada", "bob", "eve"]
    assert [(p["student"], p["problem"]) for p in told["problems"]] == [
        ("bob", "damaged")
    ]
    # ada was looked up, so the time is that of two
    assert 0 < told["seconds_each"] <= told["seconds"] / 2
    assert told["seconds_left"] == 0
    json.dumps(told)


def test_end_without_the_last_event_is_a_failure():
    code = CLASS.replace("tell(finished=True)", "sys.exit('gradebook gone')")
    [run] = run_of(code)
    assert run.state == "failed"
    assert "status 1" in run.error
    assert "gradebook gone" in run.error
    assert run.done == 3


def test_program_that_is_missing_is_a_failure():
    async def follow() -> Run:
        run = Run(["/no/such/program"], Path.cwd(), asyncio.Lock())
        await run.wait()
        return run

    run = asyncio.run(follow())
    assert run.state == "failed"
    assert "/no/such/program" in run.error


def test_much_noise_blocks_nothing():
    noise = "sys.stderr.write('x' * 10**6 + '\\n' + 'the end\\n')\n"
    [run] = run_of(EVENTS + noise + "sys.exit(2)")
    assert run.state == "failed"
    assert run.error.endswith("the end")


def test_endless_problems_are_counted_and_not_all_sent():
    code = EVENTS + (
        "for i in range(150):\n"
        "    tell(student=str(i), problem='damaged', done=i + 1, total=150)\n"
        "tell(finished=True, problems=150)\n"
    )
    [run] = run_of(code)
    told = run.to_dict()
    assert told["num_problems"] == 150
    assert len(told["problems"]) == 100
    assert len(told["recent"]) == 5


STUBBORN = (
    EVENTS
    + """
import os, signal, time
# neither it nor its worker ends when asked to
signal.signal(signal.SIGTERM, signal.SIG_IGN)
worker = os.fork()
if worker:
    tell(student=worker, done=1, total=2)
time.sleep(600)
"""
)


def test_stop_ends_the_workers_too(monkeypatch):
    monkeypatch.setattr("grader.browser.runs.GRACE_S", 0.2)

    async def stop(run: Run) -> None:
        await until(lambda: run.done)
        first = asyncio.create_task(run.stop())
        # an impatient second click, while the process is being ended
        for _ in range(10):
            await asyncio.sleep(0)
        await run.stop()
        await first

    [run] = run_of(STUBBORN, then=stop)
    assert run.state == "stopped"
    assert run.done == 1
    worker = Path(f"/proc/{run.recent[0]['student']}/status")
    assert not worker.exists() or "State:\tZ" in worker.read_text()


def test_classes_take_turns():
    waits = EVENTS + "sys.stdin.read(); import time; time.sleep(600)"

    async def look(first: Run, second: Run) -> None:
        await until(lambda: first.pid)
        assert (first.state, second.state) == ("running", "waiting")
        await first.stop()
        await until(lambda: second.pid)
        await second.stop()

    runs = run_of(waits, waits, then=look)
    assert [run.state for run in runs] == ["stopped", "stopped"]


# -------------------------------------------------------------------- the counts


def test_counts_are_those_of_the_class(course: Course, submit, release):
    assert page.assignments(course) == [
        {"name": "01_toy", "submitted": 0, "graded": 0, "to_look_at": 0}
    ]
    for student in ("ada", "bob", "eve"):
        submit(student, answer(release, **RIGHT))
    (course.folder("autograded") / "ada" / "01_toy").mkdir(parents=True)
    (course.folder("autograded") / "gone" / "01_toy").mkdir(parents=True)
    with course.nbgrader.gradebook as gradebook:
        gradebook.add_assignment("01_toy")
        gradebook.add_notebook("toy", "01_toy")
        for name in ("toy-why", "toy-triple-tests"):
            gradebook.add_grade_cell(
                name, "toy", "01_toy", max_score=3, cell_type="code"
            )
        for student in ("ada", "bob"):
            gradebook.add_student(student)
            gradebook.add_submission("01_toy", student)
        for grade in gradebook.find_submission("01_toy", "bob").notebooks[0].grades:
            grade.needs_manual_grade = False
        gradebook.db.commit()
    assert page.assignments(course) == [
        {"name": "01_toy", "submitted": 3, "graded": 1, "to_look_at": 1}
    ]


def test_half_made_gradebook_has_nothing_to_look_at(course: Course):
    course.gradebook_path.touch()
    assert page.assignments(course)[0]["to_look_at"] == 0


def test_looking_makes_no_gradebook(course: Course):
    page.assignments(course)
    assert not course.gradebook_path.exists()


# -------------------------------------------------------------------- the server

# A grader, and an nbgrader, that wait until the test lets them go on. Python finds
# them first, since they lie in the folder that the server starts them in.
GRADER = (
    EVENTS
    + """
import time
from pathlib import Path
assert sys.argv[1:3] == ["autograde", "--events"], sys.argv
tell(student="ada", score=len(sys.argv), max=6, done=1, total=2)
while not Path("go").exists():
    time.sleep(0.02)
tell(student="bob", score=None, max=6, problem="<b>damaged</b>", done=2, total=2)
tell(finished=True, problems=1)
"""
)
NBGRADER = """
import sys, time
from pathlib import Path
print("graded", *sys.argv[1:], flush=True)
Path("started").touch()
while not Path("go").exists():
    time.sleep(0.02)
"""


class Client:
    """A browser of sorts: it keeps cookies, and shows statuses instead of raising."""

    def __init__(self, address: str):
        self.address = address
        self.cookies = http.cookiejar.CookieJar()
        keep = urllib.request.HTTPCookieProcessor(self.cookies)
        self.opener = urllib.request.build_opener(keep)

    def ask(self, method: str, path: str, data=None, xsrf: bool = True):
        """Return the status, the headers and the text of an answer."""
        body = json.dumps(data).encode() if data is not None else None
        request = urllib.request.Request(self.address + path, body, method=method)
        token = [c.value for c in self.cookies if c.name == "_xsrf"]
        if xsrf and token:
            request.add_header("X-XSRFToken", token[0])
        try:
            with self.opener.open(request, timeout=WITHIN_S) as reply:
                return reply.status, reply.headers, reply.read().decode()
        except HTTPError as error:
            with error:
                return error.code, error.headers, error.read().decode()

    def run(self) -> dict:
        """Return the state of the only assignment's run."""
        status, _, text = self.ask("GET", "/fovea/api/assignments")
        assert status == 200, text
        return json.loads(text)["assignments"][0]["run"]

    def wait_for(self, state: str, done: int) -> dict:
        deadline = time.monotonic() + WITHIN_S
        while (run := self.run())["state"] != state or run["done"] != done:
            assert time.monotonic() < deadline, run
            time.sleep(0.05)
        return run


@pytest.fixture(scope="module")
def served(released_course: Path, tmp_path_factory) -> Iterator[tuple[str, Path]]:
    """The address and the folder of a Jupyter server, started in a course."""
    base = tmp_path_factory.mktemp("served")
    root = base / "course"
    shutil.copytree(released_course, root)
    for package, code in (("grader", GRADER), ("nbgrader", NBGRADER)):
        (root / package).mkdir()
        (root / package / "__init__.py").touch()
        (root / package / "__main__.py").write_text(code)
    (root / "submitted/ada/01_toy").mkdir(parents=True)
    # enabled as by an installation
    (base / "jupyter_server_config.d").mkdir()
    shutil.copy(ROOT / "grader/browser/fovea.json", base / "jupyter_server_config.d")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    options = [f"--port={port}", f"--IdentityProvider.token={TOKEN}", "--no-browser"]
    options += ["--allow-root"] if os.geteuid() == 0 else []
    environment = os.environ | {"HOME": str(base), "JUPYTER_CONFIG_PATH": str(base)}
    server = subprocess.Popen(
        # -P: the server itself runs the real grader
        [sys.executable, "-P", "-m", "jupyter_server", *options],
        cwd=root,
        env=environment,
        stderr=subprocess.DEVNULL,
    )
    address = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + WITHIN_S
        while True:
            try:
                urllib.request.urlopen(f"{address}/login", timeout=WITHIN_S).close()
                break
            except URLError:
                assert time.monotonic() < deadline
                time.sleep(0.1)
        yield address, root
    finally:
        (root / "go").touch()
        server.terminate()
        server.wait()


@pytest.fixture
def client(served) -> Iterator[Client]:
    """A client that is logged in, and a server that grades nothing."""
    address, root = served
    client = Client(address)
    client.ask("GET", f"/fovea/autograde?token={TOKEN}")
    yield client
    client.ask("DELETE", "/fovea/api/autograde/01_toy")
    for name in ("go", "started"):
        (root / name).unlink(missing_ok=True)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/fovea/autograde"),
        ("GET", "/fovea/static/autograde.js"),
        ("GET", "/fovea/api/assignments"),
        ("POST", "/fovea/api/autograde/01_toy"),
        ("DELETE", "/fovea/api/autograde/01_toy"),
        ("POST", "/formgrader/api/submission/01_toy/ada/autograde"),
    ],
)
def test_strangers_get_nothing(served, method: str, path: str):
    status, _, text = Client(served[0]).ask(method, path)
    assert status == 403 or "Password or token" in text
    assert "01_toy" not in text


@pytest.mark.slow
@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_other_sites_cannot_start_or_stop(client: Client, method: str):
    path = "/fovea/api/autograde/01_toy"
    status, _, _ = client.ask(method, path, xsrf=False)
    assert status == 403
    assert client.ask(method, path)[0] == 200


@pytest.mark.slow
def test_page_runs_no_code_but_its_own(client: Client):
    status, headers, text = client.ask("GET", "/fovea/autograde")
    assert status == 200
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "frame-ancestors 'self'" in policy
    assert "unsafe" not in policy
    assert "<script>" not in text
    for path in ("/fovea/static/../page.py", "/fovea/static/%2e%2e/page.py"):
        assert client.ask("GET", path)[0] in (403, 404)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["no_such", "..", "%2e%2e%2fsolutions", "--force"])
def test_only_assignments_of_the_course_are_graded(client: Client, name: str):
    status, _, text = client.ask("POST", f"/fovea/api/autograde/{name}")
    assert status in (404, 405)
    assert client.run() is None or client.run()["state"] == "stopped"
    if name == "no_such":
        assert "no_such" in json.loads(text)["message"]
        assert "01_toy" in json.loads(text)["message"]


@pytest.mark.slow
def test_server_answers_while_a_class_is_graded(client: Client, served):
    path = "/fovea/api/autograde/01_toy"
    assert client.ask("POST", path)[0] == 200
    run = client.wait_for("running", 1)
    assert run["total"] == 2
    plain = run["recent"][0]["score"]
    assert client.ask("GET", "/api/status")[0] == 200
    # one run at a time
    status, _, text = client.ask("POST", path)
    assert status == 409
    assert "01_toy" in json.loads(text)["message"]
    (served[1] / "go").touch()
    run = client.wait_for("finished", 2)
    assert [p["problem"] for p in run["problems"]] == ["<b>damaged</b>"]
    # and from scratch
    assert client.ask("POST", path, {"force": True})[0] == 200
    run = client.wait_for("finished", 2)
    assert run["recent"][0]["score"] == plain + 1


@pytest.mark.slow
def test_stopping_keeps_what_was_told(client: Client):
    path = "/fovea/api/autograde/01_toy"
    client.ask("POST", path)
    client.wait_for("running", 1)
    assert client.ask("DELETE", path)[0] == 200
    assert client.wait_for("stopped", 1)["recent"][0]["student"] == "ada"


@pytest.mark.slow
def test_formgrader_links_the_page(client: Client):
    for part in ("manage_assignments", "gradebook", "manage_students"):
        _, _, text = client.ask("GET", f"/formgrader/{part}")
        assert text.count('href="/fovea/autograde"') == 1


@pytest.mark.slow
def test_server_answers_while_the_formgrader_grades(client: Client, served):
    path = "/formgrader/api/submission/01_toy/ada/autograde"
    with ThreadPoolExecutor(1) as pool:
        graded = pool.submit(client.ask, "POST", path)
        try:
            deadline = time.monotonic() + WITHIN_S
            while not (served[1] / "started").exists():
                assert time.monotonic() < deadline
                time.sleep(0.02)
            other = Client(served[0])
            status, _, _ = other.ask("GET", f"/api/status?token={TOKEN}")
            assert status == 200
            assert not graded.done()
        finally:
            (served[1] / "go").touch()
        status, _, text = graded.result(WITHIN_S)
    assert status == 200
    told = json.loads(text)
    assert told["success"] is True
    assert "--student=ada" in told["log"]
    assert "--assignment=01_toy" in told["log"]
