"""A class of 200, a quarter of it broken or hostile: the others get what is theirs."""

import copy
import json
import os
import subprocess
import sys

import pytest

from tests.grader.conftest import RIGHT, answer

pytestmark = [pytest.mark.slow, pytest.mark.sandbox]

# files that are no notebooks
BROKEN = {
    "empty": b"",
    "cut off": b'{"cells": [{"cell_ty',
    "no notebook": b'{"a": 1}',
    "no text": b"\xff\xfe\x00\xd8" * 10,
    "no cells": b'{"nbformat": 4, "nbformat_minor": 5, "metadata": {}}',
}
# what an answer does beside what is asked; "triple" stays right
HOSTILE = {
    "exits": "import os; os._exit(0)",
    "kills all": "import os; os.kill(-1, 9)",
    "stops all": "import os; os.kill(-1, 19)",
    "bomb": "import os\nwhile True:\n  try: os.fork()\n  except OSError: pass",
    "endless": "while True: pass",
    "floods": "while True: print('x' * 10_000)",
    "hogs": "hog = [b'x' * 10**8 for _ in range(100)]",
    "daemon": "import os, time\nif not os.fork():\n  os.setsid()\n  time.sleep(600)",
    "wipes": "import shutil; shutil.rmtree('/', ignore_errors=True)",
    "closes": "import os; os.closerange(0, 100)",
}


def test_everyone_else_gets_the_right_score(course, release, submit):
    config = course.root / "nbgrader_config.py"
    config.write_text(config.read_text() + "\nc.RunSubmission.cell_s = 2\n")
    expected = {}
    for i in range(150):
        work = answer(copy.deepcopy(release), **RIGHT)
        expected[f"s{i:03}"] = 3
        if i % 3 == 0:
            work = answer(work, triple="def triple(x):\n    return x")
            expected[f"s{i:03}"] = 2
        submit(f"s{i:03}", work)
    for n in range(5):
        for i, content in enumerate(BROKEN.values()):
            # among the others, in the order of the class
            submit(f"s{30 * n + i:03}-broken", content)
    for n in range(5):
        for i, (name, code) in enumerate(list(HOSTILE.items())[n % 2 :: 2]):
            double = f"{RIGHT['double']}\n{code}"
            work = answer(copy.deepcopy(release), **RIGHT | {"double": double})
            submit(f"s{30 * n + 2 * i:03}-{name.replace(' ', '-')}", work)

    done = subprocess.run(
        [sys.executable, "-m", "grader", "autograde", "01_toy", "--json"],
        cwd=course.root,
        env=dict(os.environ, FOVEA_SECRET="toy"),
        capture_output=True,
        text=True,
    )

    assert done.returncode == 1, done.stderr[-2000:]
    results = {r["student"]: r for r in json.loads(done.stdout)["submissions"]}
    assert len(results) == 200
    assert {s: results[s]["score"] for s in expected} == expected
    broken = [s for s, r in results.items() if r["problem"]]
    assert sorted(broken) == sorted(s for s in results if s.endswith("broken"))
    for student in broken:
        assert f"not graded: {student}: toy.ipynb" in done.stderr
    # the second exercise is right in every hostile submission
    hostile = [r for s, r in results.items() if s not in expected and not r["problem"]]
    assert len(hostile) == 25
    assert {
        (s["student"], s["score"]) for s in hostile if s["score"] not in (1, 3)
    } == (set())
