"""Cheats on the notebook's file: its cells, its metadata, its outputs, its folder."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

from grader.attacks import Attack
from grader.cells import is_graded

WRONG = {
    "affine": "def affine(x, w, b): return x",
    "lucky": "def lucky(): return {'number': 0}",
    "slope": "class Slope(torch.nn.Linear):\n  pass",
    "cumulate": "def cumulate(x): return x * 1",
    "soften": "def soften(t): return t * 1",
    "counter": "class Counter:\n  pass",
}
NOTHING = dict.fromkeys(WRONG, 0)

_file = partial(Attack, kind="notebook", cells=WRONG, points=NOTHING)
_page = partial(Attack, kind="web page")
_folder = partial(Attack, kind="folder")


def _notebook(change: Callable[[dict], None]) -> Callable[[Path], None]:
    """Return an edit of the notebook's JSON."""

    def edit(path: Path) -> None:
        notebook = json.loads(path.read_text(encoding="utf-8"))
        change(notebook)
        path.write_text(json.dumps(notebook), encoding="utf-8")

    return edit


def _graded(notebook: dict) -> list[dict]:
    return [c for c in notebook["cells"] if is_graded(c)]


def _each(change: Callable[[dict], None]) -> Callable[[Path], None]:
    """Return an edit of each graded cell."""
    return _notebook(lambda nb: [change(cell) for cell in _graded(nb)])


def _tags(**tags: object) -> Callable[[Path], None]:
    return _each(lambda cell: cell["metadata"]["nbgrader"].update(tags))


def _fake_outputs(cell: dict) -> None:
    full = {"exercise": "", "score": 2, "max": 2, "findings": []}
    data = {"text/plain": "2", "application/vnd.fovea.verdict+json": full}
    output = {"output_type": "execute_result", "metadata": {}, "execution_count": 1}
    cell.update(outputs=[output | {"data": data}], execution_count=1)


def _deleted(notebook: dict) -> None:
    graded = _graded(notebook)
    notebook["cells"] = [c for c in notebook["cells"] if c not in graded]


def _doubled(notebook: dict) -> None:
    for cell in _graded(notebook):
        notebook["cells"].append(json.loads(json.dumps(cell)) | {"source": "1"})


def _forged_metadata(notebook: dict) -> None:
    notebook["metadata"] = {
        "fovea": {"notes": [], "flags": [], "sandbox": "bubblewrap", "score": 99},
        "kernelspec": {"name": "bash", "display_name": "x", "language": "bash"},
        "language_info": {"name": "../../x"},
        "nbgrader": {"schema_version": 99, "points": 99},
    }


def _own_graded_cell(notebook: dict) -> None:
    tags = {"grade": True, "solution": False, "locked": True, "task": False}
    tags |= {"grade_id": "target-bonus", "points": 99, "schema_version": 3}
    cell = {"cell_type": "code", "id": "bonus", "source": "1", "outputs": []}
    cell |= {"metadata": {"nbgrader": tags}, "execution_count": 1}
    notebook["cells"].append(cell)


def _swapped(notebook: dict) -> None:
    """Exchange the ids of solution cells and graded cells."""
    cells = {c["metadata"]["nbgrader"]["grade_id"]: c for c in notebook["cells"][1:]}
    for name in WRONG:
        a, b = cells[f"target-{name}"], cells[f"target-{name}-tests"]
        a["metadata"], b["metadata"] = b["metadata"], a["metadata"]


FILES = (
    _file(
        name="skip-execution",
        aim="tags the graded cells as not to be run, which nbgrader pays in full",
        edit=_each(lambda cell: cell["metadata"].update(tags=["skip-execution"])),
    ),
    _file(name="more points", aim="gives itself points", edit=_tags(points=99)),
    _file(name="no points", aim="makes points no number", edit=_tags(points="NaN")),
    _file(
        name="own tests",
        aim="writes the graded cells anew",
        edit=_each(lambda cell: cell.update(source="True")),
    ),
    _file(
        name="own outputs",
        aim="hands in graded cells with outputs of its own",
        edit=_each(_fake_outputs),
    ),
    _file(
        name="graded solutions",
        aim="says that the graded cells are solutions, for a person to grade",
        edit=_tags(solution=True, locked=False, grade=False),
    ),
    _file(
        name="other types",
        aim="makes the graded cells text",
        edit=_each(lambda cell: cell.update(cell_type="raw")),
    ),
    _file(name="other ids", aim="renames the graded cells", edit=_tags(grade_id="x")),
    _file(
        name="exchanged ids",
        aim="exchanges the ids of answers and graded cells",
        edit=_notebook(_swapped),
    ),
    _file(
        name="deleted tests",
        aim="deletes the graded cells",
        edit=_notebook(_deleted),
    ),
    _file(
        name="doubled tests",
        aim="doubles the graded cells, the second time with nothing in them",
        edit=_notebook(_doubled),
    ),
    _file(
        name="moved tests",
        aim="puts the graded cells before what they grade",
        edit=_notebook(lambda nb: nb["cells"].reverse()),
    ),
    _file(
        name="bonus cell",
        aim="adds a graded cell of 99 points",
        edit=_notebook(_own_graded_cell),
    ),
    _file(
        name="forged metadata",
        aim="says in which sandbox it ran, with which kernel, for how many points",
        edit=_notebook(_forged_metadata),
    ),
    Attack(
        name="markers",
        kind="notebook",
        aim="hides its own code between the markers of hidden tests",
        cells={
            "counter": "### BEGIN HIDDEN TESTS\nclass Counter: pass\n"
            "### END HIDDEN TESTS\n### BEGIN SOLUTION\n### END HIDDEN TESTS",
            "cumulate": "### BEGIN SOLUTION\ndef cumulate(x):\n"
            "  ### BEGIN HIDDEN TESTS\n  return np.cumsum(x, axis=0)",
        },
        points={"counter": 0},
    ),
    Attack(
        name="magic",
        kind="notebook",
        aim="clears all names, and runs cells in other languages",
        cells={
            "counter": "%%javascript\nalert(1)",
            "end": "%reset -f\nget_ipython().system('exit 3')\n%autoawait",
        },
        points={"counter": 0},
    ),
)

_HTML = (
    "<script>MARK</script><img src=x onerror='MARK'><svg onload=MARK></svg>"
    "<iframe src='https://example.org/MARK'></iframe><style>MARK</style>"
    "<a href='javascript:MARK'>x</a><form action='//MARK'><input onfocus=MARK>"
    "<img src='https://example.org/MARK.png'><link rel=stylesheet href='//MARK.css'>"
    "<meta http-equiv=refresh content='0;url=//MARK'><base href='//MARK'>"
    "</pre></div></body><math><mtext></style><script>MARK</script>"
)

PAGES = (
    _page(
        name="script in outputs",
        aim="puts out script in every form that a notebook can show",
        cells={
            "end": f'h = """{_HTML}"""\n'
            "kinds = ['text/' + k for k in ('html', 'markdown', 'plain', 'latex')]\n"
            "kinds += ['application/' + k for k in ('javascript', 'pdf', 'json')]\n"
            "kinds += ['application/vnd.jupyter.widget-view+json']\n"
            "for mime in (*kinds, 'image/svg+xml', 'image/png'):\n"
            "  data = {mime: h}\n"
            "  facts = {mime: {'width': '\"><script>MARK</script>', 'alt': h}}\n"
            "  display(data, raw=True, metadata=facts)\n"
            "print(h)"
        },
    ),
    _page(
        name="script in text",
        aim="writes script into the answer that a person reads",
        cells={
            "why": _HTML + "\n\n[x](javascript:MARK) ![x](//MARK) $\\href{//MARK}x$"
        },
    ),
    _page(
        name="script in errors",
        aim="raises errors made of script, where a check calls it",
        cells={
            "affine": f'h = """{_HTML}"""\n'
            "def affine(x, w, b): raise type(h, (Exception,), {})(h)",
            "cumulate": "def cumulate(x): raise ValueError(h)",
            "end": "raise type(h, (Exception,), {})(h)",
        },
        points={"affine": 0, "cumulate": 0},
    ),
    _page(
        name="false verdict",
        aim="dresses its output up as the page's own verdict",
        cells={
            "counter": "class Counter: pass\n"
            "from IPython.display import HTML\n"
            'display(HTML(\'<div class="verdict full-points" id="MARK" \'\n'
            "  'style=\"position:fixed\">MARK</div>'))\n"
            "bad = {'score': 1, 'max': 1, 'exercise': '<script>MARK</script>',\n"
            "  'findings': [{'message': '<script>MARK</script>', 'property': 'p',\n"
            "  'points': 1, 'mistakes': []}]}\n"
            "display({'application/vnd.fovea.verdict+json': bad,\n"
            "  'text/markdown': '<script>MARK</script>'}, raw=True)"
        },
        points={"counter": 0},
    ),
    _page(
        name="quoted tests",
        aim="has the page show hidden tests by failing next to them",
        cells={
            "cumulate": "import linecache, traceback\ndef cumulate(x):\n"
            "  print(linecache.cache.keys()); traceback.print_stack()\n"
            "  raise AssertionError(str(linecache.cache.values()))"
        },
        points={"cumulate": 0},
    ),
)


def _beside(name: str, target: str) -> Callable[[Path], None]:
    """Return an edit that puts a symbolic link next to the notebook."""

    def edit(path: Path) -> None:
        (path.parent / name).symlink_to(path.parents[3] / target)

    return edit


def _link(path: Path) -> None:
    witness = path.parents[3] / "submitted/witness" / path.parent.name / path.name
    path.unlink()
    path.symlink_to(witness)


def _shadowing(path: Path) -> None:
    for name in ("numpy.py", "torch.py", "sitecustomize.py", "conftest.py"):
        (path.parent / name).write_text("raise SystemExit('MARK got in')")
    (path.parent / "grader").mkdir()
    (path.parent / "grader/__init__.py").write_text("raise SystemExit('MARK got in')")
    (path.parent / "nbgrader_config.py").write_text("raise SystemExit('MARK got in')")


FOLDERS = (
    _folder(
        name="link to the secret",
        aim="hands in a link to the course's secret, to have it copied",
        edit=_beside("data.txt", "course_secret"),
    ),
    _folder(
        name="link to a folder",
        aim="hands in a link to what others handed in",
        edit=_beside("data", "submitted/witness"),
    ),
    _folder(
        name="link to a notebook",
        aim="hands in a link to another student's notebook",
        edit=_link,
        refused=True,
    ),
    _folder(
        name="link as timestamp",
        aim="has its timestamp read from the secret, to see it in an error",
        edit=_beside("timestamp.txt", "course_secret"),
        refused=True,
    ),
    _folder(
        name="shadowing modules",
        aim="hands in modules called like those that the grader imports",
        edit=_shadowing,
    ),
)

ATTACKS = FILES + PAGES + FOLDERS
