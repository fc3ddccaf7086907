"""Every shell runs in a process of its own: it takes over signals and ``__main__``."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import matplotlib
import pytest

from grader.inside.outputs import MAX_FRAMES, _overwritten, error_output
from tests.grader.inside.parity_cells import KNOWN

HERE = Path(__file__).parent
ROOT = HERE.parents[2]

# Runs cells; between two of them, and after the last, it interrupts itself.
RUN_CELLS = """
import dataclasses, json, os, signal, sys
from grader.inside.shell import Shell
cells, limit = json.load(sys.stdin)
shell = Shell(output_bytes=limit)
rans = []
for cell in cells:
    rans.append(dataclasses.asdict(shell.run_cell(cell)))
    os.kill(os.getpid(), signal.SIGINT)
print(json.dumps(rans))
"""


def run_python(folder: Path, *arguments: str, given: str = "") -> str:
    (folder / "home").mkdir(exist_ok=True)
    (folder / "work").mkdir(exist_ok=True)
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder / "home"),
        "PYTHONPATH": str(ROOT),
        "PYTHONHASHSEED": "0",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        # Finding fonts takes long, so it is done once; there are no settings there.
        "MPLCONFIGDIR": matplotlib.get_cachedir(),
    }
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder / "work",
        env=environment,
        input=given,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def run_cells(tmp_path):
    """Return a function that runs cells and returns what each left."""

    def run(*cells: str, output_bytes: int = 1_000_000) -> list[dict]:
        given = json.dumps([cells, output_bytes])
        return json.loads(run_python(tmp_path, "-c", RUN_CELLS, given=given))

    return run


def text_of(ran: dict) -> str:
    """Return what a cell printed, or the text of its result."""
    output = ran["outputs"][-1]
    return output["text"] if "text" in output else output["data"]["text/plain"]


# --- limits ---

FLOODS = {
    "print": "while True: print('x' * 1000)",
    "one long text": "print('x' * 10_000_000)",
    "standard error": "import sys\nwhile True: print('x' * 1000, file=sys.stderr)",
    "displays": "while True: display('x' * 1000)",
    "a result": "'x' * 2_000_000",
    "updates": "h = display(1, display_id=True)\nwhile True: h.update('x' * 1000)",
    "errors": (
        "error = ValueError('x' * 1000)\n"
        "while True: get_ipython().showtraceback((ValueError, error, None))"
    ),
    "in an await": (
        "import asyncio\nwhile True:\n  await asyncio.sleep(0)\n  print('x' * 99)"
    ),
    "descriptor": "import os\nfor i in range(2000): os.write(1, b'x' * 1000)",
    "program": "import os\nos.system('head -c 3000000 /dev/zero')",
    "a widget": (
        "import ipywidgets\nwith ipywidgets.Output():\n  while True: print('x' * 1000)"
    ),
    "cleared": (
        "from IPython.display import clear_output\n"
        "while True:\n  print('x' * 1000)\n  clear_output()"
    ),
}


@pytest.mark.parametrize("source", FLOODS.values(), ids=FLOODS.keys())
def test_flood_of_output_is_one_error(run_cells, source):
    before, ran, after = run_cells("x = 1", source, "print(x)")
    (output,) = ran["outputs"]
    assert (output["ename"], ran["flag"]) == ("OutputLimit", "OutputLimit")
    assert "1 MB" in output["evalue"]
    assert (before["flag"], after["flag"], text_of(after)) == ("", "", "1\n")


def test_pictures_may_be_twenty_times_as_large(run_cells):
    show = "display({'image/png': 'x' * %d}, raw=True)"
    fits, cut = run_cells(show % 15_000, show % 25_000, output_bytes=1000)
    assert (fits["flag"], cut["flag"]) == ("", "OutputLimit")


def test_less_than_the_limit_is_shown(run_cells):
    (ran,) = run_cells("print('x' * 990)", output_bytes=1000)
    assert (ran["flag"], len(text_of(ran))) == ("", 991)


def test_swallowed_limit_drops_further_output(run_cells):
    ran, after = run_cells(
        "caught = 0\n"
        "for i in range(100):\n"
        "    try:\n        print('x' * 100)\n"
        "    except BaseException as error:\n        caught += 1\n"
        "display('more')",
        "caught, type(error).__name__ if 'error' in globals() else ''",
        output_bytes=1000,
    )
    assert [o["ename"] for o in ran["outputs"]] == ["OutputLimit"]
    assert text_of(after) == "(1, '')"


def test_flood_in_a_child_process_ends_it(run_cells):
    ran, after = run_cells(
        "import multiprocessing, os\n"
        "def flood():\n    while True: print('x' * 1000)\n"
        "process = multiprocessing.get_context('fork').Process(target=flood)\n"
        "process.start(); process.join()\n"
        "size = os.fstat(1).st_size",
        "size < 2_000_000",
    )
    assert (ran["flag"], text_of(after)) == ("OutputLimit", "True")


def test_classes_and_functions_of_cells_reach_other_processes(run_cells):
    pool, one, workers = run_cells(
        "import multiprocessing\nfork = multiprocessing.get_context('fork')\n"
        "def square(x):\n    return x * x\n"
        "with fork.Pool(2) as pool:\n    print(pool.map(square, range(4)))",
        "process = fork.Process(target=print, args=('child',))\n"
        "process.start(); process.join(); process.exitcode",
        "import torch\n"
        "class Data(torch.utils.data.Dataset):\n"
        "    def __len__(self): return 4\n"
        "    def __getitem__(self, i): return torch.tensor(i)\n"
        "[b.tolist() for b in torch.utils.data.DataLoader(Data(), 2, num_workers=2)]",
    )
    assert text_of(pool) == "[0, 1, 4, 9]\n"
    assert one["outputs"][0]["text"] == "child\n"
    assert text_of(workers) == "[[0, 1], [2, 3]]"


# --- interrupts, exits, forks ---

# Something other than the cell interrupts it, once it runs.
INTERRUPT = (
    "import os, subprocess\n"
    "kill = subprocess.Popen(['sh', '-c', f'kill -INT {os.getpid()}'])\n"
)


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("while True: pass", {"KeyboardInterrupt"}),
        ("import time; time.sleep(1000)", {"KeyboardInterrupt"}),
        # As in Jupyter, where an interrupt cancels what is awaited.
        (
            "import asyncio, os, signal\n"
            "loop = asyncio.get_running_loop()\n"
            "loop.call_soon(os.kill, os.getpid(), signal.SIGINT)\n"
            "await asyncio.sleep(1000)",
            {"CancelledError"},
        ),
    ],
    ids=["loop", "sleep", "await"],
)
def test_interrupted_cell_shows_it_and_the_next_runs(run_cells, source, names):
    ran, after = run_cells(
        source if "await" in source else INTERRUPT + source,
        "import asyncio\nawait asyncio.sleep(0, 7)",
    )
    assert {o["ename"] for o in ran["outputs"]} == names
    assert text_of(after) == "7"


def test_cell_cannot_make_the_next_one_deaf_to_interrupts(run_cells):
    deaf = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)"
    _, ran = run_cells(deaf, INTERRUPT + "while True: pass")
    assert ran["outputs"][0]["ename"] == "KeyboardInterrupt"


def test_exit_does_not_end_the_notebook(run_cells):
    *left, system, after = run_cells(
        "exit()", "quit()", "exit", "import sys; sys.exit(3)", "print('here')"
    )
    assert [ran["outputs"] for ran in left] == [[], [], []]
    assert (system["outputs"][0]["ename"], system["outputs"][0]["evalue"]) == (
        "SystemExit",
        "3",
    )
    assert text_of(after) == "here\n"


def test_copy_of_a_forked_cell_does_not_answer(run_cells):
    ran, after = run_cells(
        "import os\npid = os.fork()\nif pid:\n    os.waitpid(pid, 0)\n"
        "print('parent' if pid else 'child')",
        "1",
    )
    assert sorted(text_of(ran).split()) == ["child", "parent"]
    assert text_of(after) == "1"


# --- what is gathered ---


def test_text_from_everywhere_comes_in_order(run_cells):
    (ran,) = run_cells(
        "import os, sys\nprint('a')\nos.write(1, b'b\\n')\nprint('c')\n"
        "os.system('echo d')\ndisplay(5)\nprint('f', file=sys.__stdout__)"
    )
    first, shown, last = ran["outputs"]
    assert first["text"] == "a\nb\nc\nd\n"
    assert shown["data"] == {"text/plain": "5"}
    assert last["text"] == "f\n"


def test_update_changes_the_outputs_of_an_earlier_cell(run_cells):
    first, second, third = run_cells(
        "h = display('a', display_id=True)", "1", "h.update('b')\nh.display('c')"
    )
    assert text_of(first) == "'a'"
    assert second["changed_earlier"] == {}
    assert list(third["changed_earlier"]) == ["0"]
    # Showing it again replaces what is shown elsewhere, too.
    assert text_of({"outputs": third["changed_earlier"]["0"]}) == "'c'"
    assert text_of(third) == "'c'"


def test_outputs_are_plain_data(run_cells):
    text, bundle, bad, odd = run_cells(
        "class Text(str): pass\nprint(Text('a' + chr(0xd800)))",
        "import numpy as np\n"
        "display({'application/json': {'a': (np.int64(1), b'x', np.float32(0.5))}},"
        " raw=True)",
        "display({'application/json': object()}, raw=True)",
        "class Odd(Exception):\n    def __str__(self): raise ValueError('no text')\n"
        "raise Odd",
    )
    assert text_of(text) == "a?\n"
    assert bundle["outputs"][0]["data"] == {"application/json": {"a": [1, "eA==", 0.5]}}
    assert bad["outputs"][0]["ename"] == "TypeError"
    assert odd["outputs"][-1]["output_type"] == "error"


def test_long_error_is_shortened():
    output = error_output("E", "x" * 10**6, ["first", *"y" * 1000, "last"])
    assert len(json.dumps(output)) < 20_000
    assert len(output["traceback"]) == MAX_FRAMES + 1
    assert (output["traceback"][0], output["traceback"][-1]) == ("first", "last")


def test_other_code_can_be_captured_and_is_no_cell(tmp_path):
    script = """
import json
from grader.inside.shell import Shell
shell = Shell()
with shell.capturing() as first:
    print("called")
try:
    with shell.capturing() as second:
        input()
except Exception as error:
    second.append(type(error).__name__)
ran = shell.run_cell("display(1, display_id='a')")
with shell.capturing() as third:
    print("again")
ran = shell.run_cell("x = 5\\ndisplay(2, display_id='a')")
print(json.dumps([first, second, third, ran.changed_earlier, shell.namespace["x"]]))
"""
    first, second, third, earlier, x = json.loads(run_python(tmp_path, "-c", script))
    assert [first[0]["text"], third[0]["text"]] == ["called\n", "again\n"]
    assert second == ["StdinNotImplementedError"]
    assert (list(earlier), x) == (["0"], 5)


def test_shell_starts_no_threads_and_writes_nothing_at_home(run_cells, tmp_path):
    *_, ran = run_cells(
        "1 / 0",
        "%load_ext autoreload",
        "%cd -q .",
        "import asyncio\nawait asyncio.sleep(0)",
        "import os\nlen(os.listdir('/proc/self/task'))",
    )
    assert text_of(ran) == "1"
    assert list((tmp_path / "home").iterdir()) == []
    assert list((tmp_path / "work").iterdir()) == []


# --- a warm process ---


@pytest.fixture(scope="module")
def outputs_of_shell(tmp_path_factory) -> dict:
    folder = tmp_path_factory.mktemp("shell")
    run_python(folder, str(HERE / "parity_cells.py"))
    return json.loads((folder / "work" / "outputs.json").read_text())


@pytest.fixture(scope="module")
def outputs_of_jupyter(tmp_path_factory) -> dict[str, list[list[dict]]]:
    folder = tmp_path_factory.mktemp("jupyter")
    run_python(folder, str(HERE / "parity_cells.py"), "--jupyter")
    return json.loads((folder / "work" / "outputs.json").read_text())


@pytest.mark.slow
def test_warm_process_has_one_thread_and_leaves_no_trace(outputs_of_shell):
    assert outputs_of_shell["threads"] == 1
    assert outputs_of_shell["fresh"] == {"figures": [], "rc": {}, "new names": []}


@pytest.mark.slow
def test_figures_are_shown_in_any_shell_of_a_child(outputs_of_shell):
    """Made before or after the fork, each plot is the same picture."""
    made_before, made_after = outputs_of_shell["plots"]
    assert "image/png" in made_before[0]["data"]
    assert made_before == made_after


# What is not the same twice: addresses, names of files, times, ids, counts.
CHANGING = [
    (r"0x[0-9a-f]{6,}", "ADDRESS"),
    (r"/tmp/ipykernel(_\d+)?/\d+\.py|\b\d{6,}\.py", "CELL"),
    (r"[\d.]+(e\+\d+)? ?(ns|[µμu]s|ms|s)\b", "TIME"),
    (r"\[\d\d:\d\d<.*?\]", "TIME"),
    (r"\b[0-9a-f]{32}\b", "ID"),
    (r"Thread-\d+", "THREAD"),
    (r"\.\.\. \d+ more \.\.\.", "FRAMES"),
]
# The last frame of some errors is that of what takes the place of `input` and `print`.
OUR_FRAMES = ("grader/inside/", "/ipykernel/")


def normal(value):
    """Return outputs without what is not the same twice, in the order in which Jupyter
    shows streams: it gathers standard output and error apart, between two displays."""
    if isinstance(value, str):
        if not value.startswith("iVBOR"):
            for pattern, name in CHANGING:
                value = re.sub(pattern, name, value)
        return value
    if isinstance(value, dict):
        if value.get("output_type") == "error":
            frames = [
                frame
                for frame in value["traceback"]
                if not any(part in frame for part in OUR_FRAMES)
            ]
            value = error_output(value["ename"], value["evalue"], frames)
        return {key: normal(item) for key, item in value.items()}
    return list(map(normal, value)) if isinstance(value, list) else value


def merged(outputs: list[dict]) -> list[dict]:
    result, streams = [], {}
    for output in [*outputs, None]:
        if output and output["output_type"] == "stream":
            streams[output["name"]] = streams.get(output["name"], "") + output["text"]
            continue
        for name in sorted(streams, reverse=True):
            lines = map(_overwritten, streams[name].split("\n"))
            result.append({"name": name, "text": "\n".join(lines)})
        streams = {}
        result += [output] if output else []
    return result


@pytest.mark.slow
def test_outputs_are_those_of_jupyter(outputs_of_shell, outputs_of_jupyter):
    ours, theirs = (
        {
            f"{name} {place}": normal(merged(outputs))
            for name, cells in groups.items()
            for place, outputs in enumerate(cells)
        }
        for groups in (outputs_of_shell["groups"], outputs_of_jupyter)
    )
    different = {name for name in theirs if ours[name] != theirs[name]}
    for name in different - set(KNOWN):
        assert ours[name] == theirs[name], name
    # What no longer differs is to be taken off the list.
    assert different == set(KNOWN)
