import nbformat

from grader.plan import plan
from tests.grader.running import graded, plain, solution


def needs(*cells):
    for i, cell in enumerate(cells):
        if "nbgrader" in cell.metadata:
            cell.metadata.nbgrader["grade_id"] = f"t-{i}"
    found = plan(nbformat.v4.new_notebook(cells=list(cells)))
    return [(n.names, n.setup) for n in found.values()]


def test_names_of_solution_cells_are_the_students():
    cells = solution("def f(): pass\nclass Net: pass\na, (b, *c) = 1, (2, 3)")
    ((names, setup),) = needs(cells, graded("f(Net, a, b, c, other)"))
    assert (names, setup) == (("Net", "a", "b", "c", "f"), ())


def test_set_up_cells_run_in_the_judge_only_when_needed():
    cells = [
        plain("import numpy as np"),
        plain("import json"),
        plain("data = np.ones(3)"),
        solution("def f(x): return x"),
        graded("f(data)"),
        graded("f(1)"),
    ]
    first, second = needs(*cells)
    assert first == (("f",), ("import numpy as np", "data = np.ones(3)"))
    assert second == (("f",), ())


def test_what_is_made_of_a_students_name_is_the_students():
    cells = [
        solution("def train(): return 1"),
        plain("model = train()\nplotted = model"),
        plain("model2 = model"),
        graded("model2, plotted"),
    ]
    assert needs(*cells) == [(("model2", "plotted"), ())]


def test_a_name_belongs_to_whom_bound_it_last():
    cells = [
        solution("def f(): return 1\nx = 1"),
        graded("x"),
        plain("x = 2"),
        graded("x"),
        solution("x = 3"),
        graded("x"),
    ]
    assert needs(*cells) == [(("x",), ()), ((), ("x = 2",)), (("x",), ())]


def test_imports_are_never_the_students():
    cells = [
        solution("import numpy as np\ndef f(): return np.ones(2)"),
        graded("np.testing.assert_allclose(f(), 1)"),
        plain("import math\ny = f()"),
        graded("math.isclose(y, 1)"),
    ]
    assert needs(*cells) == [
        (("f",), ("import numpy as np",)),
        (("y",), ("import math",)),
    ]


def test_magics_are_no_python():
    cells = plain("%matplotlib inline\nimport math\n!ls"), graded("math.pi")
    ((_, setup),) = needs(*cells)
    assert "import math" in setup[0]
    assert "%" not in setup[0]
    assert needs(plain("%%bash\nls ) ("), graded("1")) == [((), ())]


def test_names_bound_in_other_ways():
    source = (
        "if True:\n  from os import path as p\nfor i in range(3):\n  pass\n"
        "with open('x') as handle:\n  pass\nimport a.b\n"
        "def g():\n  inner = 1\nasync def h(): pass\n[n for n in 'x' if (m := n)]"
    )
    ((names, _),) = needs(
        solution(source), graded("p, i, handle, a, g, h, m, inner, undefined")
    )
    assert names == ("g", "h", "handle", "i", "m", "p")
