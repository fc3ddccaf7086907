"""Reading and writing py:percent texts."""

import subprocess
import sys

import jupytext
import pytest

from tools.text import Cell, Rejected, keep_lines, read_text, write_text


def problems_of(text: str) -> list[str]:
    with pytest.raises(Rejected) as refusal:
        read_text(text, "authoring/lectures/01_lines.py")
    return [str(problem) for problem in refusal.value.problems]


@pytest.mark.parametrize("name", ["assignment", "lecture"])
def test_cells_are_those_that_jupytext_reads(name: str, request) -> None:
    text = request.getfixturevalue(name)
    notebook = jupytext.reads(text, fmt="py:percent")
    ours = [(cell.kind, cell.source) for cell in read_text(text, "x")]
    assert ours == [(cell.cell_type, cell.source) for cell in notebook.cells]


@pytest.mark.parametrize("name", ["assignment", "lecture"])
def test_attributes_are_those_that_jupytext_reads(name: str, request) -> None:
    text = request.getfixturevalue(name)
    for cell, other in zip(
        read_text(text, "x"), jupytext.reads(text, fmt="py:percent").cells, strict=True
    ):
        for key in ("role", "grade_id", "points"):
            theirs = other.metadata.get(key)
            assert cell.get(key) == (None if theirs is None else str(theirs))


@pytest.mark.parametrize("name", ["assignment", "lecture"])
def test_text_is_written_as_it_was_read(name: str, request) -> None:
    text = request.getfixturevalue(name)
    assert write_text(read_text(text, "x")) == text


@pytest.mark.parametrize("name", ["assignment", "lecture"])
def test_text_without_its_lines_is_written_the_same(name: str, request) -> None:
    text = request.getfixturevalue(name)
    cells = [
        Cell(kind=cell.kind, source=cell.source, attributes=cell.attributes)
        for cell in read_text(text, "x")
    ]
    assert write_text(cells) == text


def test_written_text_is_what_the_formatter_writes(assignment: str, tmp_path) -> None:
    plain = [
        Cell(kind="code", source="import numpy as np"),
        Cell(kind="code", source="def f(\n    x,\n):\n    return x"),
        Cell(kind="code", source="y = 1"),
        Cell(kind="code", source="@f\nclass C:\n    pass"),
        Cell(kind="markdown", source="# Title\n\nWords."),
    ]
    for number, text in enumerate([write_text(plain), assignment]):
        path = tmp_path / f"{number}.py"
        path.write_text(text)
        command = [sys.executable, "-m", "ruff", "format", "--diff", str(path)]
        run = subprocess.run(command, capture_output=True, text=True)
        assert run.returncode == 0, run.stdout


def test_only_code_is_parted_by_two_blank_lines() -> None:
    words = ["class of models", "def starts a function", "@ multiplies"]
    text = write_text([Cell(kind="markdown", source=line) for line in words])
    assert text.count("\n\n") == 2
    assert "\n\n\n" not in text


def test_line_numbers_are_those_of_the_file() -> None:
    text = "# %% [markdown]\n# One.\n\n# %%\n\nx = 1\ny = 2\n\n\n# %%\nz = 3\n"
    lines = text.split("\n")
    for cell in read_text(text, "x"):
        assert lines[cell.line - 1].startswith("# %%")
        assert lines[cell.first_line - 1].removeprefix("# ") == cell.lines[0]


@pytest.mark.parametrize(
    ("line", "source"),
    [
        ("# %matplotlib inline", "%matplotlib inline"),
        ("# %%time", "%%time"),
        ("# %d of them", "# %d of them"),
        ("# cat videos", "# cat videos"),
        ("# !ls", "# !ls"),
    ],
    ids=["magic", "cell-magic", "format", "word-of-a-shell", "shell"],
)
def test_only_magics_are_uncommented(line: str, source: str) -> None:
    (cell,) = read_text(f"# %%\n{line}\nx = 1\n", "x")
    assert cell.source == f"{source}\nx = 1"
    assert write_text([Cell(kind="code", source=cell.source)]).split("\n")[1] == line


@pytest.mark.parametrize(
    "header",
    [
        "#%%",
        "#%% [markdown]",
        "# %%[markdown]",
        "# %% [md]",
        "# %% [raw]",
        "# %% A title",
        "# %% [markdown] A title",
        '# %% role = "tests"',
        '# %% role="tests',
        '# %% role="tests", points=3',
        '# %%role="tests"',
        "  # %%",
        "# %%%",
        "# % [markdown]",
        "# [markdown]",
        '# % role="tests" grade_id="lines-x" points=1',
        '# role="tests" grade_id="lines-x" points=1',
        '# grade_id="lines-x"',
    ],
)
def test_header_that_is_not_exact_names_its_line(header: str) -> None:
    (problem,) = problems_of(f"# %%\nx = 1\n\n{header}\n# y\n")
    assert "01_lines.py:4" in problem
    assert repr(header) in problem


@pytest.mark.parametrize("text", ["", "\n\n", "\ufeff\n"])
def test_empty_text_is_refused(text: str) -> None:
    assert "empty text" in problems_of(text)[0]


@pytest.mark.parametrize(
    ("text", "line"),
    [("# ---\n# jupyter: x\n# ---\n\n# %%\nx = 1\n", 1), ("\nimport os\n", 2)],
    ids=["yaml-header", "no-cell"],
)
def test_line_before_the_first_cell_is_refused(text: str, line: int) -> None:
    assert f"01_lines.py:{line}\n" in problems_of(text)[0]


@pytest.mark.parametrize("line", ["x = 1", "## Title", "#word", '"""', "  # words"])
def test_markdown_line_without_its_comment_is_refused(line: str) -> None:
    (problem,) = problems_of(f"# %% [markdown]\n# One.\n{line}\n")
    assert "01_lines.py:3" in problem
    assert repr(line) in problem


def test_empty_cell_is_refused() -> None:
    (problem,) = problems_of("# %%\nx = 1\n\n# %%\n\n# %%\ny = 1\n")
    assert "01_lines.py:4 (cell 2, code)" in problem


def test_attribute_given_twice_is_refused() -> None:
    (problem,) = problems_of('# %% role="tests" role="locked"\nx = 1\n')
    assert "role twice" in problem


def test_carriage_returns_and_byte_order_mark_change_nothing(assignment: str) -> None:
    odd = "\ufeff" + assignment.replace("\n", "\r\n")
    assert read_text(odd, "x") == read_text(assignment, "x")


def test_unchanged_cells_keep_their_odd_lines() -> None:
    odd = '# %% points=3.0 role="tests"\n\nx = 1\n\n\n\n# %% [markdown]\n# A.\n\n#\n'
    odd += "# B.\n\n# %%\ny = 1\n"
    old = read_text(odd, "x")
    new = [
        Cell(
            kind="code", source="x = 1", attributes=(("role", "tests"), ("points", "3"))
        ),
        Cell(kind="markdown", source="A.\n\n\nB."),
        Cell(kind="code", source="y = 2"),
        Cell(kind="code", source="z = 1"),
    ]
    text = write_text(keep_lines(new, old))
    assert text == odd.replace("y = 1\n", "y = 2\n\n# %%\nz = 1\n")
