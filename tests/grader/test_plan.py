from dataclasses import replace

import nbformat
import pytest

from grader.plan import asides, plan
from grader.worker import Worker
from tests.grader.running import graded, plain, solution, task_of


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


CHECK = "# Open check\ndef check_f(): pass\ncheck_f()"
SHOWN = "# To look at: how it learns\ncurve = f(3)\nprint(curve)"


def left_out(*changed):
    """Which cells need not run, of a released notebook with some changed or added."""
    source = [solution("def f(x): return x"), plain(CHECK), plain(SHOWN)]
    source.append(graded("f(1)"))
    cells = list(changed) or source
    notebooks = (nbformat.v4.new_notebook(cells=c) for c in (source, cells))
    return asides(*notebooks)


def test_open_checks_and_what_is_there_to_be_looked_at_need_not_run():
    assert left_out() == (1, 2)


def test_what_a_student_changed_in_them_runs():
    changed = SHOWN.replace("3", "4")
    assert left_out(plain(CHECK), plain(changed), plain("# Open check\nf(5)")) == (0,)


def test_what_another_cell_uses_runs():
    assert left_out(plain(CHECK), plain(SHOWN), solution("print(curve)")) == (0,)
    assert left_out(plain(CHECK), plain(SHOWN), plain("check_f()")) == (1,)


def test_what_only_idle_cells_use_is_idle():
    idle = [plain(CHECK), plain("# Open check\nagain = check_f()"), plain(SHOWN)]
    for answer, left in (("", (0, 1, 2)), ("check_f()", (1, 2)), ("again", (2,))):
        books = [[*idle, solution("")], [*idle, solution(answer)]]
        assert asides(*(nbformat.v4.new_notebook(cells=c) for c in books)) == left


def test_a_cell_that_earns_points_is_never_left_out():
    cells = [solution(CHECK), graded(CHECK)]
    notebook = nbformat.v4.new_notebook(cells=cells)
    assert asides(notebook, notebook) == ()


@pytest.mark.slow
def test_cells_left_out_show_nothing_and_cost_nothing():
    task = replace(
        task_of(plain("print(1)"), solution("f = abs"), graded("f(-1)")),
        asides=(0,),
    )
    worker = Worker(enclosed=False)
    cells = nbformat.reads(worker.run(task), as_version=4).cells
    worker.close()
    assert cells[0].outputs == []
    assert cells[0].execution_count is None
    assert cells[2].outputs[0].data["text/plain"] == "1"


def test_a_graded_cell_gets_the_time_that_it_says_it_gets():
    text = "# Graded by hidden checks: labels. Training is stopped after 90 seconds."
    cells = [graded(f"{text}\nf(1)"), graded("# It may be stopped at any time.\nf(1)")]
    cells.append(graded("'stopped after 5 seconds'"))
    for i, cell in enumerate(cells):
        cell.metadata.nbgrader["grade_id"] = f"t-{i}"
    found = plan(nbformat.v4.new_notebook(cells=cells)).values()
    assert [needs.seconds for needs in found] == [90, 0, 0]


SLEEPS = "import time\ndef f(x):\n    time.sleep(2)\n    return x"


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [0, 20])
def test_that_time_holds_for_the_cell_and_for_a_call_in_it(seconds):
    said = f"# Graded by hidden checks, stopped after {seconds} seconds.\n"
    cells = solution(SLEEPS), graded(said + "f(7)")
    task = task_of(*cells, call_s=0.5, cell_s=1)
    worker = Worker(enclosed=False)
    output = nbformat.reads(worker.run(task), as_version=4).cells[1].outputs[0]
    worker.close()
    if seconds:
        assert output.data["text/plain"] == "7"
    else:
        assert "takes more than 0.5 s" in output.evalue
