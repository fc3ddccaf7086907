"""What a graded cell can do with a student's objects, and what a student can't."""

import numpy as np
import pytest

from grader.judge import ship
from grader.student import Server
from tests.grader.running import execute, graded, plain, printed, solution

pytestmark = [pytest.mark.slow, pytest.mark.sandbox]

STUDENT = """
import numpy as np
import torch
from torch import nn

def double(x): return x * 2
def spoil(x):
    x[:] = 0
    return x
def pair(x, *, scale=1): return x, {"scaled": x * scale}
def unanswered(): raise NotImplementedError
def wrong(kind): raise {"value": ValueError, "index": IndexError}[kind]("no good")
def train(): return Net(), 0.5
def apply(f, x): return f(x)
def same(model, x):
    with torch.no_grad():
        for p in model.parameters(): p.zero_()
    return model(x)
def stop(): raise SystemExit(3)

class Own(Exception): pass
def own(): raise Own("mine")

class Net(nn.Module):
    size = 3
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.linear = nn.Linear(3, 2)
        self.linear.weight.data.fill_(2.0)
        self.linear.bias.data.zero_()
    def forward(self, x): return self.linear(x)

class Liar:
    def __eq__(self, other): return True
    def __sub__(self, other): return 0
    def __array__(self, *_, **__): return np.zeros(2)
    def __float__(self): return 0.0
    def __bool__(self): return True
def lie(): return Liar()
class LyingArray(np.ndarray):
    def __eq__(self, other): return np.True_
    def __array_ufunc__(self, *_, **__): return 0
    def __array_function__(self, *_, **__): return True
def lying(): return np.ones(2).view(LyingArray)
"""


@pytest.fixture(scope="module")
def server():
    server = Server()
    yield server
    server.close()


GOOD = {
    "values": (
        "x = np.arange(3.0)\nassert (double(x) == [0, 2, 4]).all()\n"
        "assert double('ab') == 'abab'"
    ),
    "tensors": "assert torch.equal(double(torch.ones(2)), 2 * torch.ones(2))",
    "our inputs stay": (
        "x = np.ones(3)\nassert (spoil(x) == 0).all()\nassert (x == 1).all()"
    ),
    "containers and keywords": (
        "first, rest = pair(2, scale=3)\nassert (first, rest) == (2, {'scaled': 6})"
    ),
    "their errors": (
        "try: wrong('value')\nexcept ValueError as e: assert 'no good' in str(e)\n"
        "try: wrong('index')\nexcept LookupError: pass"
    ),
    "an exit is an error": "try: stop()\nexcept Exception: pass",
    "modules": (
        "net = Net()\nassert (net(torch.ones(1, 3)) == 6).all()\nassert net.size == 3\n"
        "assert net.linear.weight.shape == (2, 3)\nnet.eval()\n"
        "assert net.training is False\n"
        "assert set(net.state_dict()) == {'linear.weight', 'linear.bias'}"
    ),
    "handles among data": (
        "net, accuracy = train()\nassert accuracy == 0.5\n"
        "assert (net(torch.ones(1, 3)) == 6).all()"
    ),
    "handles as arguments": "assert (apply(Net(), torch.ones(1, 3)) == 6).all()",
    "our functions as arguments": "assert apply(lambda v: v + 1, 2) == 3",
    "our functions beside": (
        "from grader.checking import beside\n"
        "def gradient(Net, x):\n"
        "  net = Net()\n"
        "  net(x).sum().backward()\n"
        "  return {'grad': net.linear.weight.grad}\n"
        "seen = beside(gradient, (Net,), {'x': torch.ones(2, 3)})\n"
        "assert (seen['grad'] == 2).all()"
    ),
    "our model crosses as weights": (
        "from grader.checking import Trusted\n"
        "def build(width):\n  from torch import nn\n  return nn.Linear(width, 1)\n"
        "ours = Trusted(build, width=3)\n"
        "before = ours.model.weight.clone()\n"
        "assert same(ours, torch.ones(1, 3)).item() == 0\n"
        "assert torch.equal(ours.model.weight, before)"
    ),
}


@pytest.mark.parametrize("source", GOOD.values(), ids=GOOD.keys())
def test_graded_cell_can(server, source):
    setup = plain("import numpy as np\nimport torch")
    done = execute(server, setup, solution(STUDENT), graded(source), cell_s=20)
    assert printed(done, 2) == ""
    assert done.cells[2].execution_count


BAD = {
    "equality of an object": ("assert lie() == 1", "TypeError"),
    "difference of an object": ("assert abs(lie() - 1) < 1e-9", "TypeError"),
    "truth of an object": ("assert lie()", "TypeError"),
    "an object as an array": ("np.testing.assert_allclose(lie(), 0)", "TypeError"),
    "a number": ("assert float(lie()) == 0", "TypeError"),
    "a lying array is an array": ("assert (lying() == 5).all()", "AssertionError"),
    "closeness of a lying array": ("assert np.allclose(lying(), 5)", "AssertionError"),
    "not answered": ("unanswered()", "NotImplementedError"),
    "undefined": ("nowhere()", "NameError"),
    "the name of an error": ("own()", "Own: mine"),
    "an attribute that is not there": ("Net().nothing", "AttributeError"),
    "beside gives data alone": (
        "from grader.checking import beside\nbeside(lambda f: f(), (lie,), {})",
        "TypeError",
    ),
    "setting": ("Net.size = 4", "TypeError"),
    "not self-contained": (
        "from grader.checking import beside\nbeside(lambda f: np.ones(2), (lie,), {})",
        "ValueError",
    ),
}


@pytest.mark.parametrize(("source", "reason"), BAD.values(), ids=BAD.keys())
def test_graded_cell_fails(server, source, reason):
    setup = plain("import numpy as np\nimport torch")
    done = execute(server, setup, solution(STUDENT), graded(source), cell_s=20)
    assert printed(done, 2).startswith(reason)


def test_a_cell_that_catches_everything_does_not_outlive_a_crash(server):
    done = execute(
        server,
        solution("import os\ndef f(): os._exit(1)"),
        graded("try: f()\nexcept Exception: pass\n'passed'"),
    )
    assert printed(done, 1).startswith("ProcessDied")


def test_a_set_up_cell_that_fails_is_an_error_of_the_cells_that_need_it(server):
    done = execute(
        server,
        plain("limit = 1 / 0"),
        solution("def f(): return 1"),
        graded("assert f() < limit"),
        graded("assert f() == 1"),
    )
    assert printed(done, 2).startswith("ZeroDivisionError")
    assert printed(done, 3) == ""


def test_students_cannot_touch_the_judges_names(server):
    done = execute(
        server,
        plain("import numpy as np"),
        solution("import numpy\nnumpy.allclose = lambda *a: True\ndef f(): return 1"),
        graded("assert np.allclose(f(), 2)"),
    )
    assert printed(done, 2).startswith("AssertionError")


def test_what_the_judge_prints_is_shown_and_what_students_print_is_not(server):
    done = execute(
        server,
        solution("def f(x):\n  print('seen', x)\n  return x"),
        graded("print('checked', f(1))"),
    )
    assert printed(done, 1) == "checked 1"


def test_checks_draw_numbers_from_secret_and_student(server):
    code = (
        "from grader.checking import _rng, student\n"
        "print(student(), _rng('x').integers(10**9))"
    )
    first = printed(execute(server, graded(code)), 0)
    again = printed(execute(server, graded(code)), 0)
    other = printed(execute(server, graded(code), student="bob"), 0)
    assert first == again
    assert first.startswith("ada")
    assert first.split()[1] != other.split()[1]


CHECK = """
import numpy as np
from grader.checking import Exercise, Property

def run(f, x):
    return {"out": f(x)}

def cases(rng):
    return [{"x": x} for x in (1, 2, 3)]

check = Exercise(
    name="double", run=run, oracle=lambda x: {"out": 2 * x}, properties=tuple(
        Property(name=name, points=1, cases=some, keys=("out",))
        for name, some in (("all", cases), ("last", lambda rng: cases(rng)[2:]))
    )
)
"""


@pytest.mark.parametrize(
    ("body", "score", "said"),
    [
        ("return 2 * x", 2, ""),
        # two seconds each, where one message may take three
        ("import time; time.sleep(2); return 2 * x", 2, ""),
        # one that takes longer than a call may, though all take less than a message may
        ("import time; time.sleep(4 * (x == 2)); return 2 * x", 1, "more than 3 s"),
        ("return 2 * x if x != 2 else {3}", 1, "a value of type set"),
        ("return 2 * x if x != 2 else 1 / 0", 1, "ZeroDivisionError"),
        ("return 2 * x if x != 2 else spin()", 1, "more than 3 s"),
    ],
)
def test_cases_that_cross_together_are_judged_one_by_one(server, body, score, said):
    answer = f"def spin():\n  while True: pass\ndef f(x):\n  {body}"
    cells = plain(CHECK), solution(answer), graded("check(f)", points=2)
    done = execute(server, *cells, cell_s=30)
    (output,) = done.cells[2].outputs
    assert output.data["text/plain"] == str(score)
    assert said in output.data["text/markdown"]


def test_shipped_functions_are_self_contained():
    def good(x, y=2, *, z=3):
        import math

        return math.floor(x) + y + z + sum(v for v in range(3))

    assert ship(good).kind == "code"

    def bad(x):
        return np.sum(x)

    with pytest.raises(ValueError, match="uses np from outside"):
        ship(bad)
