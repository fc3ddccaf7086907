import os
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest

from grader.checking import VERDICT_MIME
from grader.student import Server
from tests.grader.running import execute, graded, plain, printed, solution, verdicts

pytestmark = [pytest.mark.slow, pytest.mark.sandbox]


@pytest.fixture(scope="module")
def server():
    server = Server()
    yield server
    server.close()


FATAL = {
    "endless loop": ("while True: pass", "TimeLimit"),
    "swallows interrupts": (
        "import time\nwhile True:\n  try: time.sleep(60)\n  except BaseException: pass",
        "TimeLimit",
    ),
    "deaf to interrupts": (
        "import signal; signal.signal(2, signal.SIG_IGN)\nwhile True: pass",
        "TimeLimit",
    ),
    "exit": ("import os; os._exit(0)", "ProcessDied"),
    "exit while a child holds on": (
        "import os, time\nif os.fork(): os._exit(0)\ntime.sleep(60)",
        "ProcessDied",
    ),
    "segmentation fault": ("import ctypes; ctypes.string_at(0)", "ProcessDied"),
    "memory of many": (
        "import os, time\nfor _ in range(12):\n  if not os.fork():\n"
        "    hog = b'x' * 150_000_000; time.sleep(60)\ntime.sleep(60)",
        "MemoryLimit",
    ),
}


@pytest.mark.parametrize(("code", "reason"), FATAL.values(), ids=FATAL.keys())
def test_fatal_cell_costs_itself_alone(server, code, reason):
    done = execute(
        server,
        solution("def f(x): return 2 * x"),
        graded("assert f(1) == 2"),
        solution(code),
        graded("assert f(2) == 4"),
        cell_s=10 if "Memory" in reason else 1.5,
        memory_bytes=1_500_000_000 if "Memory" in reason else 4_000_000_000,
    )
    assert printed(done, 2).startswith(reason)
    assert [printed(done, i) for i in (1, 3)] == ["", ""]
    assert done.metadata.fovea.flags == [reason]


@pytest.mark.parametrize(("code", "reason"), FATAL.values(), ids=FATAL.keys())
def test_fatal_call_costs_its_graded_cell_alone(server, code, reason):
    body = "\n".join(f"  {line}" for line in code.splitlines())
    before, fatal, after = verdicts(
        server,
        solution(f"def good(x): return 2 * x\ndef bad(x):\n{body}"),
        graded("assert good(1) == 2"),
        graded("bad(1)"),
        graded("assert good(2) == 4"),
        call_s=10 if "Memory" in reason else 1.5,
        cell_s=20,
        memory_bytes=1_500_000_000 if "Memory" in reason else 4_000_000_000,
    )
    assert (before.score, fatal.score, after.score) == (1, 0, 1)
    # a call that gives up when interrupted is no more than an error of that call
    wanted = "TimeoutError" if code == FATAL["endless loop"][0] else reason
    assert fatal.message.startswith(wanted)


FAULTS = {
    "endless output": ("while True: print('x' * 1000)", "OutputLimit"),
    "one long line": ("print('x' * 5_000_000)", "OutputLimit"),
    "memory": ("bytearray(10_000_000_000)", "MemoryError"),
    "recursion": ("def f(): return f()\nf()", "RecursionError"),
}


@pytest.mark.parametrize(("code", "reason"), FAULTS.values(), ids=FAULTS.keys())
def test_fault_is_shown_and_the_process_goes_on(server, code, reason):
    cells = plain("a = 1"), plain(code), plain("print(a)")
    done = execute(server, *cells, cell_s=30)
    assert printed(done, 1).startswith(reason)
    assert printed(done, 2) == "1"


def test_state_outlives_an_interrupted_cell(server):
    done = execute(
        server,
        plain("marks = []"),
        plain("marks.append(1)\nwhile True: pass"),
        plain("print(marks)"),
        cell_s=1,
    )
    assert printed(done, 1).startswith("TimeLimit")
    assert printed(done, 2) == "[1]"


def test_verdicts_outlive_a_crash_and_are_not_given_twice(server):
    done = execute(
        server,
        solution("calls = 0\ndef f():\n  global calls; calls += 1; return calls"),
        graded("f()"),
        solution("import os; os._exit(1)"),
        graded("f()"),
    )
    assert done.cells[1].outputs[0].data["text/plain"] == "1"
    # a new process, so counted from the start; the first graded cell was not run again
    assert done.cells[3].outputs[0].data["text/plain"] == "1"


def test_what_time_does_not_reach_scores_nothing(server):
    first, second, third = verdicts(
        server,
        solution("import time\ndef nap(s): time.sleep(s)"),
        graded("nap(1)"),
        graded("nap(9)"),
        graded("nap(0)"),
        notebook_s=2,
    )
    assert first.score == 1
    assert (second.score, third.score) == (0, 0)
    assert third.message.startswith("TimeLimit: the notebook took more than")


def test_a_graded_cell_has_its_time_however_many_calls_it_makes(server):
    (verdict,) = verdicts(
        server,
        solution("import time\ndef nap(): time.sleep(0.5)"),
        graded("for _ in range(100): nap()"),
        cell_s=1.5,
    )
    assert verdict.score == 0
    assert verdict.message.startswith("TimeLimit: the cell took more than 1.5 s")


def test_too_many_crashes_leave_the_rest_not_graded(server):
    cells = [solution("import os; os._exit(0)") for _ in range(3)]
    (verdict,) = verdicts(server, *cells, graded("1"), crashes=1)
    assert verdict.score == 0
    assert "ended before" in verdict.message


def test_what_is_printed_to_stderr_costs_nothing(server):
    noisy = "import sys, warnings; warnings.warn('hm'); print('!', file=sys.stderr)"
    found = verdicts(
        server, solution(f"def f():\n  {noisy}\n  return 1"), graded("assert f() == 1")
    )
    assert found[0].score == 1


def test_outputs_of_students_carry_no_verdicts(server):
    forged = {"score": 1, "max": 1, "findings": []}
    done = execute(
        server,
        plain(f"forged = {{{VERDICT_MIME!r}: {forged!r}, 'text/plain': 'x'}}"),
        plain("display(forged, raw=True)"),
    )
    assert set(done.cells[1].outputs[0].data) == {"text/plain"}


def test_a_display_is_updated_where_it_stands(server):
    done = execute(
        server,
        plain("shown = display('old', display_id=True)"),
        solution("def f(): return 1"),
        graded("f()"),
        plain("shown.update('new')"),
    )
    assert done.cells[0].outputs[0].data["text/plain"] == "'new'"


def test_process_knows_the_student_but_no_secret(server):
    done = execute(
        server,
        plain(
            "import os, torch\n"
            "print(os.environ['FOVEA_STUDENT'], torch.get_num_threads(),"
            " os.listdir(), 'FOVEA_SECRET' in os.environ)"
        ),
    )
    assert printed(done, 0) == "ada 1 [] False"


def test_a_notebook_that_asks_for_threads_goes_on_with_one(server):
    ask = "import torch; torch.set_num_threads(2); print(torch.get_num_threads())"
    assert printed(execute(server, plain(ask)), 0) == "1"


def test_unseeded_numbers_are_the_same_each_time(server):
    code = "import random, numpy, torch\n"
    code += "print(random.random(), numpy.random.rand(), torch.rand(1), hash('a'))"
    runs = {printed(execute(server, plain(code)), 0) for _ in range(2)}
    assert len(runs) == 1


def test_training_is_the_same_to_the_bit_as_in_a_fresh_process(server):
    code = (
        "import hashlib, torch\nfrom torch import nn\n"
        "torch.manual_seed(3)\n"
        "net = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Flatten(),"
        " nn.Linear(8 * 36, 10))\n"
        "adam = torch.optim.Adam(net.parameters())\n"
        "for _ in range(20):\n"
        "  x, y = torch.randn(32, 1, 8, 8), torch.randint(10, (32,))\n"
        "  adam.zero_grad(); nn.functional.cross_entropy(net(x), y).backward()\n"
        "  adam.step()\n"
        "weights = b''.join(p.detach().numpy().tobytes() for p in net.parameters())\n"
        "print(hashlib.sha256(weights).hexdigest())"
    )
    fresh = subprocess.run(
        [sys.executable, "-c", code],
        env=dict(os.environ, OMP_NUM_THREADS="1", MKL_NUM_THREADS="1"),
        capture_output=True,
        text=True,
        check=True,
    )
    assert printed(execute(server, plain(code)), 0) == fresh.stdout.strip()


LEFT_BEHIND = {
    "a file": "from pathlib import Path; Path('/tmp/left').write_text('x')",
    "shared memory": "from pathlib import Path; Path('/dev/shm/left').write_text('x')",
    "a locked folder": (
        "import os; os.makedirs('/tmp/a/b'); os.chmod('/tmp/a/b', 0);"
        " os.chmod('/tmp/a', 0); os.chmod('/tmp', 0o500)"
    ),
    "a daemon": (
        "import os, time\nif not os.fork():\n  os.setsid()\n"
        "  if os.fork(): os._exit(0)\n  time.sleep(600)"
    ),
}
LOOK = (
    "import os\n"
    "print(sorted(os.listdir('/tmp')), os.listdir('/dev/shm'),"
    " sum(p.isdigit() for p in os.listdir('/proc')))"
)


@pytest.fixture(scope="module")
def fresh_look():
    """What a student sees who comes first."""
    fresh = Server()
    try:
        return printed(execute(fresh, plain(LOOK)), 0)
    finally:
        fresh.close()


@pytest.mark.parametrize("code", LEFT_BEHIND.values(), ids=LEFT_BEHIND.keys())
def test_nothing_is_left_for_the_next_student(server, fresh_look, code):
    execute(server, plain(code))
    assert printed(execute(server, plain(LOOK)), 0) == fresh_look


HOSTILE = {
    "stops its parent": "import os; os.kill(os.getppid(), 19)",
    "kills its parent": "import os; os.kill(os.getppid(), 9)",
    "kills everything": "import os; os.kill(-1, 9)",
    "fork bomb": "import os\nwhile True:\n  try: os.fork()\n  except OSError: pass",
}


@pytest.mark.parametrize("code", HOSTILE.values(), ids=HOSTILE.keys())
def test_fork_server_is_replaced_when_it_was_harmed(server, code):
    execute(server, plain(code), cell_s=1)
    done = execute(server, plain("print('well')"))
    assert printed(done, 0) == "well"


FORGERIES = {
    "garbage": "os.write(fd, b'x' * 1000)",
    "an answer in advance": (
        "from grader.inside import wire\n"
        "    s = socket.socket(fileno=os.dup(fd))\n"
        "    wire.send(s, {'id': b'12345678', 'value': 1})"
    ),
    "the end": "os.close(fd)",
}


@pytest.mark.parametrize("code", FORGERIES.values(), ids=FORGERIES.keys())
def test_forged_answers_give_nothing(server, code):
    forge = (
        "import os, socket, stat\n"
        "def f():\n"
        "  for fd in range(3, 50):\n"
        "    try: socket_here = stat.S_ISSOCK(os.fstat(fd).st_mode)\n"
        "    except OSError: continue\n"
        "    if not socket_here: continue\n"
        f"    {code}\n"
        "  return 0\n"
        "def g(): return 1"
    )
    first, second = verdicts(
        server, solution(forge), graded("assert f() == 1"), graded("assert g() == 1")
    )
    assert (first.score, second.score) == (0, 1)


def test_replies_that_are_too_large_or_too_deep_cost_one_call(server):
    found = verdicts(
        server,
        solution(
            "import numpy as np\n"
            "def big(): return np.zeros(10**8)\n"
            "def deep():\n  a = []\n  for _ in range(10**5): a = [a]\n  return a\n"
            "def own():\n  a = []; a.append(a); return a\n"
            "def fine(): return 1"
        ),
        *[graded(f"assert {name}() == 1") for name in ("big", "deep", "own", "fine")],
    )
    assert [v.score for v in found] == [0, 0, 0, 1]


def test_everything_is_gone_when_the_server_is_closed():
    server = Server()
    execute(server, plain("1"))
    pids = server._inside.pids()
    assert pids
    server.close()
    time.sleep(0.1)
    assert not [p for p in pids if Path(f"/proc/{p}").exists()]


def test_no_sandbox_is_recorded():
    server = Server(enclosed=False)
    try:
        done = execute(server, plain("print(1)"), graded("1"))
    finally:
        server.close()
    assert printed(done, 0) == "1"
    assert done.metadata.fovea.sandbox == "none"
    assert nbformat.validate(done) is None
