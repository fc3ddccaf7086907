"""The way back: an edited notebook becomes text again."""

import json
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode

from tools.notebooks import build, check, import_notebook, main
from tools.text import Rejected

SOLUTION = "solutions/01_lines/lines.ipynb"
LECTURE = "lectures/01_lines.ipynb"
TEXTS = {
    SOLUTION: "authoring/assignments/01_lines.py",
    LECTURE: "authoring/lectures/01_lines.py",
}


@pytest.fixture
def root(course: Callable[..., Path]) -> Path:
    root = course()
    build(root)
    return root


def edit(root: Path, file: str, change: Callable[[NotebookNode], object]) -> Path:
    """Edits a notebook as JupyterLab would: metadata and outputs come along."""
    notebook = nbformat.read(root / file, as_version=4)
    change(notebook)
    notebook.metadata.language_info = {"name": "python", "version": "3.12.1"}
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.execution_count = 3
            cell.outputs = [nbformat.v4.new_output("stream", text="a run\n")]
            cell.metadata["scrolled"] = True
    nbformat.write(notebook, root / file)
    return root / file


def refused(root: Path, file: Path) -> str:
    before = {p: p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}
    with pytest.raises(Rejected) as refusal:
        import_notebook(root, file)
    after = {p: p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}
    assert after == before
    return str(refusal.value)


@pytest.mark.parametrize("file", TEXTS)
def test_built_notebook_becomes_the_very_text(root: Path, file: str) -> None:
    text = (root / TEXTS[file]).read_bytes()
    assert "says the same" in import_notebook(root, root / file)
    (root / TEXTS[file]).unlink()
    import_notebook(root, root / file)
    assert (root / TEXTS[file]).read_bytes() == text


@pytest.mark.parametrize("file", TEXTS)
def test_run_notebook_says_the_same(root: Path, file: str) -> None:
    edited = edit(root, file, lambda notebook: None)
    assert "says the same" in import_notebook(root, edited)


def test_edited_cell_alone_changes_in_the_text(root: Path) -> None:
    path = root / TEXTS[SOLUTION]
    text = path.read_text()

    def change(notebook: NotebookNode) -> None:
        notebook.cells[2].source += "\n\nBoth `w` and `b` are given."
        notebook.cells[5].metadata.nbgrader.points = 4

    told = import_notebook(root, edit(root, SOLUTION, change))
    expected = text.replace(
        "`affine(x, w, b)`.\n", "`affine(x, w, b)`.\n#\n# Both `w` and `b` are given.\n"
    ).replace("points=3", "points=4")
    assert path.read_text() == expected
    assert "changed or new: 2" in told
    build(root)
    assert "3 notebooks" in check(root)


def test_replaced_text_is_kept(root: Path) -> None:
    path = root / TEXTS[LECTURE]
    old = path.read_bytes() + b"\n# %%\nunbuilt = 1\n"
    path.write_bytes(old)
    told = import_notebook(root, root / LECTURE)
    (kept,) = (root / "build/replaced").iterdir()
    assert kept.read_bytes() == old
    assert kept.relative_to(root).as_posix() in told


def test_new_cells_and_moves_come_along(root: Path) -> None:
    def change(notebook: NotebookNode) -> None:
        notebook.cells.insert(1, nbformat.v4.new_code_cell("%matplotlib inline\nx = 1"))
        notebook.cells.append(notebook.cells.pop(0))
        notebook.cells.append(nbformat.v4.new_code_cell(""))

    import_notebook(root, edit(root, LECTURE, change))
    text = (root / TEXTS[LECTURE]).read_text()
    assert text.startswith("# %%\n# %matplotlib inline\nx = 1\n\n# %%\nimport numpy")
    assert text.endswith(
        "\n\n# %% [markdown]\n# # Lines\n#\n# What a line is, and why we ask.\n"
    )


def test_cell_that_became_a_question_gets_its_tags(root: Path) -> None:
    def change(notebook: NotebookNode) -> None:
        cell = nbformat.v4.new_markdown_cell(
            "How?\n\n### BEGIN SOLUTION\nSo.\n### END SOLUTION"
        )
        cell.metadata.nbgrader = {
            "grade": True,
            "solution": True,
            "locked": False,
            "task": False,
            "schema_version": 3,
            "grade_id": "lines-how",
            "points": 1,
        }
        notebook.cells.append(cell)

    import_notebook(root, edit(root, SOLUTION, change))
    header = '# %% [markdown] role="manual" grade_id="lines-how" points=1\n# How?\n'
    assert header in (root / TEXTS[SOLUTION]).read_text()


def test_derived_id_of_a_locked_cell_stays_derived(root: Path) -> None:
    def change(notebook: NotebookNode) -> None:
        notebook.cells[1].source += "\nimport math"

    import_notebook(root, edit(root, SOLUTION, change))
    text = (root / TEXTS[SOLUTION]).read_text()
    assert '# %% role="locked"\n# %matplotlib inline\nimport numpy' in text


def test_given_id_of_a_locked_cell_stays(course: Callable[..., Path]) -> None:
    text = '# %% role="locked" grade_id="lines-setup"\nimport numpy as np\n'
    root = course(assignment=text)
    build(root)
    (root / TEXTS[SOLUTION]).unlink()
    import_notebook(root, root / SOLUTION)
    assert (root / TEXTS[SOLUTION]).read_text() == text


@pytest.mark.parametrize(
    "change",
    [
        lambda nb: nb.cells[3].metadata.nbgrader.update(points=0),
        lambda nb: nb.cells[1].metadata.nbgrader.update(points=0),
        lambda nb: nb.cells[0].metadata.update(tags=[]),
        lambda nb: nb.cells[0].metadata.update(editable=True, vscode={"a": "b"}),
        lambda nb: nb.metadata.update(widgets={"x": 1}),
    ],
    ids=["points-of-solution", "points-of-locked", "tags", "editors", "widgets"],
)
def test_what_editors_leave_behind_does_not_matter(root: Path, change) -> None:
    assert "says the same" in import_notebook(root, edit(root, SOLUTION, change))


@pytest.mark.parametrize(
    ("change", "fact"),
    [
        (
            lambda nb: nb.cells.append(nbformat.v4.new_raw_cell("x")),
            "a raw cell",
        ),
        (lambda nb: nb.cells[0].metadata.update(tags=["x"]), "metadata tags=['x']"),
        (
            lambda nb: nb.cells[0].update(attachments={"a.png": {"image/png": "aaaa"}}),
            "an attachment",
        ),
        (
            lambda nb: nb.cells[0].metadata.update(
                nbgrader={"task": True, "grade_id": "lines-x", "points": 1}
            ),
            "an nbgrader cell of another kind",
        ),
        (lambda nb: nb.cells[4].update(source="x = 1\n# %%\ny = 2"), "say otherwise"),
        (lambda nb: nb.cells[4].update(source="# %time f()"), "say otherwise"),
        (lambda nb: nb.cells[4].update(source="# %% a title"), "# %% a title"),
        (lambda nb: nb.cells[4].update(source="x = ="), "invalid syntax"),
        (
            lambda nb: nb.cells[3].update(
                source=nb.cells[3].source.replace("### END SOLUTION", "### END")
            ),
            "### END",
        ),
        (
            lambda nb: nb.cells[3].metadata.nbgrader.update(grade_id="cell-0123abcd"),
            "grade_id 'cell-0123abcd'",
        ),
        (lambda nb: nb.cells[5].metadata.nbgrader.update(points=0), "points=0"),
        (lambda nb: nb.cells[5].metadata.nbgrader.pop("points"), "no points"),
        (lambda nb: nb.cells[5].update(source=""), "an empty cell"),
        (lambda nb: nb.cells.clear(), "empty text"),
    ],
    ids=[
        "raw",
        "tags",
        "attachment",
        "task",
        "header-in-code",
        "magic-in-comment",
        "nearly-header",
        "syntax",
        "marker",
        "grade-id",
        "zero",
        "no-points",
        "emptied",
        "no-cells",
    ],
)
def test_import_that_would_lose_something_writes_nothing(
    root: Path, change: Callable, fact: str
) -> None:
    assert fact in refused(root, edit(root, SOLUTION, change))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"[]",
        b"not a notebook",
        b"\xff\xfe",
        json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}}).encode(),
        json.dumps(
            {"nbformat": 9, "nbformat_minor": 5, "metadata": {}, "cells": []}
        ).encode(),
        json.dumps(
            {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [{}]}
        ).encode(),
    ],
    ids=["empty", "object", "list", "text", "bytes", "no-cells", "format", "bad-cell"],
)
def test_file_that_is_no_notebook_writes_nothing(
    root: Path, content: bytes, capfd
) -> None:
    (root / LECTURE).write_bytes(content)
    assert "a notebook of format 4" in refused(root, root / LECTURE)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "place",
    [
        "assignments/01_lines/lines.ipynb",
        "lectures/lines.ipynb",
        "lectures/01_lines.py",
        "solutions/01_lines/other.ipynb",
        "solutions/lines.ipynb",
        "submitted/ann/01_lines/lines.ipynb",
        "../lines.ipynb",
        "lectures/02_missing.ipynb",
    ],
)
def test_notebook_without_a_text_is_refused(root: Path, place: str) -> None:
    path = root / place
    if "missing" not in place:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes((root / SOLUTION).read_bytes())
    assert str(path) in refused(root, path)


@pytest.mark.parametrize("part", ["source", "grade_id"])
def test_half_a_character_is_refused(root: Path, part: str) -> None:
    notebook = json.loads((root / SOLUTION).read_text())
    cell = notebook["cells"][3]
    cell["source"] += ["x = '\ud800'"] * (part == "source")
    cell["metadata"]["nbgrader"]["grade_id"] += "\ud800" * (part == "grade_id")
    (root / SOLUTION).write_text(json.dumps(notebook))
    assert "surrogates not allowed" in refused(root, root / SOLUTION)


def test_broken_text_is_not_overwritten(root: Path) -> None:
    (root / TEXTS[LECTURE]).write_text("words that are no cell\n")
    assert "before the first cell" in refused(root, root / LECTURE)
    (root / TEXTS[LECTURE]).write_bytes(b"\xff")
    assert "UTF-8" in refused(root, root / LECTURE)


def test_old_notebook_without_cell_ids_is_taken(root: Path) -> None:
    notebook = json.loads((root / LECTURE).read_text())
    notebook["nbformat_minor"] = 4
    for cell in notebook["cells"]:
        del cell["id"]
    (root / LECTURE).write_text(json.dumps(notebook))
    assert "says the same" in import_notebook(root, root / LECTURE)


def test_command_imports_from_any_folder(root: Path, monkeypatch, capsys) -> None:
    edit(root, LECTURE, lambda notebook: notebook.cells.pop())
    monkeypatch.chdir(root / "lectures")
    assert main(["import", "01_lines.ipynb", "--root", str(root)]) == 0
    assert "make build" in capsys.readouterr().out
    assert main(["import", "02_none.ipynb", "--root", str(root)]) == 1
    assert "02_none.ipynb" in capsys.readouterr().err
