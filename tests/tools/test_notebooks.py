"""Building and checking a whole course."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest

from tools import notebooks
from tools.notebooks import build, check, course_files, main, parse_source, to_notebook
from tools.text import Rejected

FILES = [
    "assignments/01_lines/lines.ipynb",
    "lectures/01_lines.ipynb",
    "solutions/01_lines/lines.ipynb",
]
Course = Callable[..., Path]


def tree(root: Path) -> dict[str, bytes]:
    files = {p.relative_to(root).as_posix(): p for p in root.rglob("*") if p.is_file()}
    return {place: path.read_bytes() for place, path in sorted(files.items())}


def refused(command: Callable[[Path], str], root: Path) -> str:
    before = tree(root)
    with pytest.raises(Rejected) as refusal:
        command(root)
    assert tree(root) == before
    return str(refusal.value)


def test_course_is_built_and_then_stays(course: Course) -> None:
    root = course()
    assert "3 changed" in build(root)
    built = tree(root)
    assert sorted(set(built) - {p for p in built if p.startswith("auth")}) == FILES
    assert "0 changed" in build(root)
    assert tree(root) == built
    assert "3 notebooks" in check(root)


def test_another_process_builds_the_same_bytes(course: Course) -> None:
    root = course()
    build(root)
    built = tree(root)
    for file in FILES:
        (root / file).unlink()
    command = [sys.executable, "-m", "tools.notebooks", "build", "--root", str(root)]
    project = Path(__file__).parents[2]
    run = subprocess.run(command, cwd=project, capture_output=True, text=True)
    assert run.returncode == 0
    # nbgrader and its libraries have nothing to say to whoever builds.
    assert run.stderr == ""
    assert tree(root) == built


@pytest.mark.parametrize("file", FILES)
def test_built_notebook_is_plain(course: Course, file: str) -> None:
    root = course()
    build(root)
    text = (root / file).read_text()
    assert text.endswith("}\n")
    assert "jupytext" not in text
    notebook = nbformat.reads(text, as_version=4)
    nbformat.validate(notebook)
    assert (notebook.nbformat, notebook.nbformat_minor) == (4, 5)
    assert notebook.metadata == {
        "kernelspec": {
            "display_name": "Python 3 (ipykernel)",
            "language": "python",
            "name": "python3",
        },
        "language_info": {"name": "python"},
    }
    assert len({cell.id for cell in notebook.cells}) == len(notebook.cells)
    for cell in notebook.cells:
        assert set(cell.metadata) <= {"nbgrader", "deletable", "editable"}
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None


def test_short_tags_become_metadata_of_nbgrader(assignment: str) -> None:
    source = parse_source(assignment, "authoring/assignments/01_lines.py")
    found = {
        cell.metadata.nbgrader.grade_id: cell.metadata.nbgrader
        for cell in to_notebook(source).cells
        if "nbgrader" in cell.metadata
    }
    locked = next(grade_id for grade_id in found if "locked" in grade_id)
    #           cell type, grade, solution, locked, points
    expected = {
        locked: ("code", False, False, True, None),
        "lines-affine": ("code", False, True, False, None),
        "lines-affine-tests": ("code", True, False, True, 3),
        "lines-why": ("markdown", True, True, False, 2.5),
    }
    names = ("cell_type", "grade", "solution", "locked", "points")
    assert {
        grade_id: tuple(metadata.get(name) for name in names)
        for grade_id, metadata in found.items()
    } == expected
    for metadata in found.values():
        assert (metadata.schema_version, metadata.task) == (3, False)
    assert isinstance(found["lines-affine-tests"].points, int)


def test_cell_ids_depend_on_the_cell_alone(assignment: str) -> None:
    place = "authoring/assignments/01_lines.py"
    before = to_notebook(parse_source(assignment, place)).cells
    longer = assignment.replace("# %%\nassert", "# %%\nx = 1\n\n# %%\nassert")
    after = to_notebook(parse_source(longer, place)).cells
    assert [c.id for c in after if c.source != "x = 1"] == [c.id for c in before]
    assert before[3].id == "lines-affine"


def test_equal_cells_get_ids_of_their_own() -> None:
    text = '# %%\nx = 1\n\n# %%\nx = 1\n\n# %% role="locked"\nx = 1\n'
    text += '\n# %% role="locked"\nx = 1\n'
    cells = to_notebook(parse_source(text, "authoring/assignments/01_lines.py")).cells
    assert len({cell.id for cell in cells}) == 4
    assert len({c.metadata.nbgrader.grade_id for c in cells[2:]}) == 2


def test_topic_of_two_words_gives_its_ids_hyphens(assignment: str) -> None:
    text = assignment.replace('grade_id="lines', 'grade_id="straight-lines')
    source = parse_source(text, "authoring/assignments/02_straight_lines.py")
    files = notebooks.built_files(source)
    assert "solutions/02_straight_lines/straight_lines.ipynb" in files


@pytest.mark.parametrize("command", [build, check], ids=["build", "check"])
@pytest.mark.parametrize(
    "name",
    [
        "1_lines.py",
        "02-lines.py",
        "02_Lines.py",
        "lines.py",
        "02_.py",
        "02_planes.ipynb",
        "02_planes.txt",
        "02_two__words.py",
        "data",
    ],
)
def test_text_with_another_name_is_refused(
    course: Course, name: str, command: Callable
) -> None:
    root = course({f"assignments/{name}": "# %%\nx = 1\n"})
    assert f"authoring/assignments/{name}" in refused(command, root)


def test_folder_among_the_texts_is_refused(course: Course) -> None:
    root = course({"lectures/02_planes.py/x": "x"})
    assert "02_planes.py" in refused(build, root)


@pytest.mark.parametrize(
    "name", [".DS_Store", ".ipynb_checkpoints/01_lines.py", "__pycache__/x.pyc"]
)
def test_hidden_files_beside_the_texts_do_not_matter(course: Course, name: str) -> None:
    assert "3 changed" in build(course({f"assignments/{name}": "x"}))


@pytest.mark.parametrize(
    ("place", "fact"),
    [
        ("lectures/01_planes.py", "01 again"),
        ("lectures/02_lines.py", "lines again"),
        ("assignments/02_lines.py", "lines again"),
    ],
)
def test_number_or_topic_used_twice_is_refused(
    course: Course, place: str, fact: str
) -> None:
    root = course({place: "# %%\nx = 1\n"})
    facts = refused(build, root)
    assert fact in facts
    assert place in facts


def test_grade_id_of_another_text_is_refused(course: Course, assignment: str) -> None:
    other = assignment.replace("lines-", "lines-two-").replace(
        "lines-two-why", "lines-two"
    )
    root = course(
        {
            "assignments/02_lines_two.py": other.replace(
                '"lines-two"', '"lines-two-why"'
            )
        },
        assignment=assignment.replace("lines-why", "lines-two-why"),
    )
    facts = refused(build, root)
    assert "grade_id 'lines-two-why' again" in facts
    assert "authoring/assignments/01_lines.py:36 has this one" in facts


@pytest.mark.parametrize("folder", ["lectures", "assignments"])
def test_text_that_is_not_utf8_is_refused(course: Course, folder: str) -> None:
    root = course({f"{folder}/02_x.py": "# %%\nx = 'é'\n".encode("latin-1")})
    facts = refused(build, root)
    assert f"authoring/{folder}/02_x.py" in facts
    assert "UTF-8" in facts


@pytest.mark.parametrize("command", [build, check], ids=["build", "check"])
def test_folder_without_texts_is_refused(tmp_path: Path, command: Callable) -> None:
    assert "no texts" in refused(command, tmp_path)


@pytest.mark.parametrize("command", [build, check], ids=["build", "check"])
@pytest.mark.parametrize(
    "place",
    [
        "lectures/02_planes.ipynb",
        "lectures/data.csv",
        "solutions/01_lines/data.csv",
        "solutions/01_lines/lines.py",
        "solutions/01_lines/other.ipynb",
        "solutions/01_lines/__pycache__/x.pyc",
        "solutions/02_planes/planes.ipynb",
        "solutions/planes.ipynb",
        "assignments/01_lines/.ipynb_checkpoints/lines-checkpoint.ipynb",
        "assignments/01_lines/.DS_Store",
        "assignments/01_lines/x.pyc",
        "assignments/02_planes/planes.ipynb",
    ],
)
def test_file_that_no_text_makes_is_named(
    course: Course, place: str, command: Callable
) -> None:
    root = course()
    build(root)
    (root / place).parent.mkdir(parents=True, exist_ok=True)
    (root / place).write_text("x")
    facts = refused(command, root)
    named = [part for part in Path(place).parents if str(part) in facts] + [place]
    assert "a file that no text makes" in facts
    assert any(str(part) in facts for part in named)
    can_be_text = place.endswith(".ipynb") and not place.startswith("a")
    assert (f"make import NB='{place}'" in facts) == can_be_text
    assert ("make import" in facts) == can_be_text


@pytest.mark.parametrize("folder", ["lectures", "solutions/01_lines"])
def test_checkpoints_of_an_author_do_not_matter(course: Course, folder: str) -> None:
    root = course()
    build(root)
    (root / folder / ".ipynb_checkpoints").mkdir()
    (root / folder / ".ipynb_checkpoints/x.ipynb").write_text("{}")
    assert "3 notebooks" in check(root)


def add_metadata(path: Path) -> None:
    notebook = json.loads(path.read_text())
    notebook["cells"][0]["metadata"]["tags"] = ["x"]
    path.write_text(json.dumps(notebook))


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize(
    ("change", "fact"),
    [
        (add_metadata, "other content"),
        (lambda path: path.write_text(path.read_text() + "\n"), "other content"),
        (lambda path: path.write_text(""), "other content"),
        (lambda path: path.unlink(), "no file"),
    ],
    ids=["metadata", "newline", "emptied", "missing"],
)
def test_check_names_what_drifted_and_build_repairs_it(
    course: Course, file: str, change: Callable, fact: str
) -> None:
    root = course()
    build(root)
    built = tree(root)
    change(root / file)
    facts = refused(check, root)
    assert file in facts
    assert fact in facts
    assert "make build" in facts
    kept = fact == "other content" and not file.startswith("assignments/")
    kept = kept and (root / file).stat().st_size > 0
    assert ("make import" in facts) == kept
    build(root)
    assert tree(root) == built
    assert "3 notebooks" in check(root)


def test_check_says_how_to_keep_an_edit(course: Course) -> None:
    root = course()
    build(root)
    for file in FILES:
        add_metadata(root / file)
    facts = refused(check, root)
    assert f"make import NB={FILES[1]}" in facts
    assert f"make import NB={FILES[2]}" in facts
    assert f"make import NB={FILES[0]}" not in facts


def test_check_sees_a_text_that_changed(course: Course, assignment: str) -> None:
    build(course())
    root = course(assignment=assignment.replace("one", "two"))
    facts = refused(check, root)
    assert FILES[0] in facts
    assert FILES[2] in facts


def test_one_bad_text_leaves_everything_as_it_was(
    course: Course, assignment: str
) -> None:
    build(course())
    root = course(
        {"lectures/02_planes.py": "# %%\nx = 1\n"},
        assignment=assignment.replace("### BEGIN HIDDEN", "### BEGIN HIDEN"),
    )
    assert "BEGIN HIDEN TESTS" in refused(build, root)


def test_failed_write_leaves_the_old_file(course: Course, monkeypatch) -> None:
    root = course()
    build(root)
    old = tree(root)
    course(lecture="# %%\nx = 1\n")

    def fail(self: Path, target: Path) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        build(root)
    new = tree(root)
    assert {p: new[p] for p in FILES} == {p: old[p] for p in FILES}
    assert set(new) == set(old)


def test_gate_holds_back_what_nbgrader_would_ship(course: Course, monkeypatch) -> None:
    root = course()
    monkeypatch.setattr(notebooks, "release_text", lambda solution, *names: solution)
    facts = refused(build, root)
    assert "scores_of_the_batch" in facts
    assert "affine_is_a_secret" in facts


def test_commands_say_what_happened(course: Course, capsys) -> None:
    root = course()
    arguments = ["--root", str(root)]
    assert main(["build", "--table", *arguments]) == 0
    told = capsys.readouterr()
    assert told.err == ""
    assert "wrote lectures/01_lines.ipynb" in told.out
    # Seven cells, four of code with 2, 5, 1 and 5 lines.
    (row,) = (s for s in told.out.split("\n") if s.startswith("assignments/"))
    assert row.split()[1:6] == ["7", "4", "4", "6", "6"]
    assert main(["check", *arguments]) == 0
    assert capsys.readouterr().err == ""
    (root / FILES[0]).unlink()
    assert main(["check", *arguments]) == 1
    told = capsys.readouterr()
    assert "1 to do" in told.err
    assert told.out == ""


def test_sources_are_read_from_both_folders(course: Course) -> None:
    sources, files = course_files(course())
    assert [source.lecture for source in sources] == [True, False]
    assert sorted(files) == FILES
