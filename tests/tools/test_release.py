"""What students get, and what must never reach them."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode

from tools.notebooks import build, built_files, parse_source, to_notebook
from tools.release import gate_problems, release_text
from tools.rules import Source
from tools.text import Rejected

PLACE = "authoring/assignments/01_lines.py"
RELEASED = "assignments/01_lines/lines.ipynb"
SECRETS = ["scores_of_the_batch", "passes through the origin", "affine_is_a_secret"]


def release_of(text: str) -> str:
    return built_files(parse_source(text, PLACE))[RELEASED]


def gate(source: Source, notebook: NotebookNode) -> str:
    return "\n".join(map(str, gate_problems(source, notebook)))


@pytest.fixture
def source(assignment: str) -> Source:
    return parse_source(assignment, PLACE)


@pytest.fixture
def released(source: Source) -> NotebookNode:
    return nbformat.reads(built_files(source)[RELEASED], as_version=4)


def test_release_shows_stubs_and_no_secret(released: NotebookNode) -> None:
    text = nbformat.writes(released)
    assert not [secret for secret in [*SECRETS, "BEGIN", "END"] if secret in text]
    stub = "    # YOUR CODE HERE\n    raise NotImplementedError()"
    assert released.cells[3].source.endswith(stub)
    assert released.cells[5].source == "# Graded: any number of rows."
    assert released.cells[6].source == "Why is there an offset?\n\nYOUR ANSWER HERE"


def test_each_solution_region_gets_its_stub(assignment: str) -> None:
    second = "### END SOLUTION\n    # More.\n    ### BEGIN SOLUTION\n    return 1\n"
    text = assignment.replace(
        "### END SOLUTION\n", second + "    ### END SOLUTION\n", 1
    )
    assert release_of(text).count("raise NotImplementedError()") == 2


def test_good_release_passes_the_gate(source: Source, released: NotebookNode) -> None:
    assert gate(source, released) == ""


@pytest.mark.parametrize(
    ("number", "line", "fact"),
    [
        (3, "    scores_of_the_batch = x @ w", "the hidden line"),
        (5, "lines.affine_is_a_secret(affine)", "the hidden line"),
        (6, "Without it each line passes through the origin.", "the hidden line"),
        (0, "Without it each line passes through the origin.", "the hidden line"),
        (3, "    ### BEGIN SOLUTION", "the marker"),
        (0, "### END HIDDEN TESTS", "the marker"),
        (5, "### BEGIN HIDEN TESTS", "the marker"),
        (4, "x = 1", "the unexpected text"),
        (4, "x = =", "invalid syntax"),
    ],
)
def test_gate_names_a_line_that_must_not_ship(
    source: Source, released: NotebookNode, number: int, line: str, fact: str
) -> None:
    released.cells[number].source += f"\n{line}"
    facts = gate(source, released)
    assert fact in facts
    assert f"(cell {number + 1}, " in facts


def test_short_line_tells_nothing_of_the_solution(
    assignment: str, released: NotebookNode
) -> None:
    text = assignment.replace("    ### END", "    y = 1\n    ### END", 1)
    released.cells[4].source += "\ny = 1"
    facts = gate(parse_source(text, PLACE), released)
    assert "unexpected text" in facts
    assert "hidden line" not in facts


@pytest.mark.parametrize(
    ("change", "fact"),
    [
        (
            lambda nb: nb.cells[4].outputs.append(nbformat.v4.new_output("stream")),
            "an output",
        ),
        (lambda nb: nb.cells[4].update(execution_count=3), "an output"),
        (lambda nb: nb.cells[0].update(attachments={"a.png": {}}), "attachments"),
        (lambda nb: nb.cells[0].metadata.update(tags=["x"]), "metadata ['tags']"),
        (lambda nb: nb.metadata.update(jupytext={}), "metadata ['jupytext']"),
        (lambda nb: nb.cells.pop(), "6 cells"),
    ],
    ids=["output", "count", "attachment", "cell-metadata", "metadata", "cells"],
)
def test_gate_names_what_a_notebook_carries(
    source: Source, released: NotebookNode, change: Callable, fact: str
) -> None:
    change(released)
    assert fact in gate(source, released)


def test_hidden_line_that_stands_in_the_open_too_passes(assignment: str) -> None:
    text = assignment.replace(
        "# Write `affine(x, w, b)`.", "# scores_of_the_batch = x @ w"
    )
    assert "scores_of_the_batch" in release_of(text)


@pytest.mark.parametrize(
    ("old", "new", "fact"),
    [
        (
            "    ### BEGIN SOLUTION\n",
            '    """\n    ### BEGIN SOLUTION\n    """\n',
            "a stub that never raises",
        ),
        (
            "### BEGIN HIDDEN TESTS\n",
            '"""\n### BEGIN HIDDEN TESTS\n',
            "hidden tests that never run",
        ),
        (
            "    ### BEGIN SOLUTION\n    scores",
            "    if True:\n        pass\n        ### BEGIN SOLUTION\n    scores",
            None,
        ),
        (
            "    ### BEGIN SOLUTION\n",
            "    ### BEGIN SOLUTION\n    if len(x):\n        pass\n    else:\n"
            "        pass\n    ### END SOLUTION\n    if len(x):\n"
            "    ### BEGIN SOLUTION\n        pass\n",
            "expected an indented block",
        ),
    ],
    ids=["stub-in-a-string", "tests-in-a-string", "deeper-stub", "empty-block"],
)
def test_stub_and_tests_must_be_code(
    assignment: str, old: str, new: str, fact: str | None
) -> None:
    text = assignment.replace(old, new, 1)
    if "tests-in" in str(fact) or (fact and "never run" in fact):
        text = text.replace("### END HIDDEN TESTS\n", '### END HIDDEN TESTS\n"""\n')
    if fact and "never raises" in fact:
        text = text.replace('    """\n    scores', "    scores", 1)
        text = text.replace("    ### END SOLUTION\n", '    ### END SOLUTION\n    """\n')
    if fact is None:
        assert release_of(text)
        return
    with pytest.raises(Rejected) as refusal:
        release_of(text)
    assert fact in str(refusal.value)


def test_error_of_nbgrader_reaches_the_user(source: Source, capfd) -> None:
    notebook = to_notebook(source)
    notebook.cells[5].metadata.nbgrader.grade_id = "lines-affine"
    with pytest.raises(Rejected) as refusal:
        release_text(nbformat.writes(notebook), "01_lines", "lines")
    assert "nbgrader's error" in str(refusal.value)
    assert capfd.readouterr() == ("", "")


def mutations(text: str) -> dict[str, str]:
    """Slips of the hand: lines deleted, doubled, swapped; markers misspelt."""
    lines = text.split("\n")
    found = {}
    for i, line in enumerate(lines):
        found[f"without line {i + 1}"] = [*lines[:i], *lines[i + 1 :]]
        found[f"line {i + 1} twice"] = [*lines[: i + 1], *lines[i:]]
        if i:
            swapped = [*lines[: i - 1], line, lines[i - 1], *lines[i + 1 :]]
            found[f"lines {i} and {i + 1} swapped"] = swapped
        marker, header = "### " in line, line.startswith("# %%")
        for j in range(len(line) * (marker or header)):
            for new in ["", line[j].swapcase(), "x", line[j] * 2][: 4 if marker else 1]:
                changed = line[:j] + new + line[j + 1 :]
                found[f"{i + 1}:{j} {new!r}"] = [*lines[:i], changed, *lines[i + 1 :]]
    return {name: "\n".join(lines) for name, lines in found.items()}


def test_no_slip_of_the_hand_ships_a_secret(assignment: str) -> None:
    cases = mutations(assignment)
    taken: dict[tuple[str, ...], str] = {}
    for name, text in cases.items():
        try:
            cells = parse_source(text, PLACE).cells
            content = tuple(str(cell.content) for cell in cells)
            if content not in taken and any(s in str(content) for s in SECRETS):
                release = release_of(text)
                taken[content] = name * any(secret in release for secret in SECRETS)
        except Rejected:
            continue
    shipped = [name for name in taken.values() if name]
    assert len(cases) > 700
    assert len(taken) > 50
    # Only this can't be told from what an author means: a solution's line that stands
    # before its BEGIN, or after its END.
    lines = assignment.split("\n")
    begin, end = (
        lines.index(f"    ### {edge} SOLUTION") + 1 for edge in ("BEGIN", "END")
    )
    assert shipped == [
        f"lines {begin} and {begin + 1} swapped",
        f"lines {end - 1} and {end} swapped",
    ]


@pytest.mark.slow
@pytest.mark.parametrize("files", ["own", "course"])
def test_release_is_that_of_nbgrader(
    files: str, course: Callable[..., Path], tmp_path: Path
) -> None:
    root = course()
    project = Path(__file__).parents[2]
    if files == "course":
        shutil.rmtree(root / "authoring")
        shutil.copytree(project / "authoring", root / "authoring")
    build(root)
    config = (project / "nbgrader_config.py").read_text()
    (root / "nbgrader_config.py").write_text(config)
    built = {path: path.read_bytes() for path in root.glob("assignments/*/*.ipynb")}
    scripts = Path(sys.executable).parent
    environment = os.environ | {"PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}"}
    for folder in sorted((root / "assignments").iterdir()):
        command = ["nbgrader", "generate_assignment", folder.name, "--force"]
        command = [sys.executable, "-m", *command]
        subprocess.run(
            command, cwd=root, env=environment, check=True, capture_output=True
        )
    assert built == {path: path.read_bytes() for path in built}
    found = {path for path in (root / "assignments").rglob("*") if path.is_file()}
    assert found == set(built)
