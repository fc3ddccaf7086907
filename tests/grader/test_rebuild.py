import copy
import json
import random

import nbformat
import pytest

from grader.reading import read_cells
from grader.rebuild import rebuild
from tests.grader.conftest import RIGHT, answer, toy_source


@pytest.fixture
def rebuild_work(release, submit):
    """A function that rebuilds a notebook as if it had been handed in."""

    def work_to_rebuilt(work):
        return rebuild(toy_source(), release, read_cells(submit("s", _text(work))))

    return work_to_rebuilt


def _text(notebook):
    # as it is: nbformat would mend ids that stand twice
    return json.dumps(notebook).encode()


def sources(rebuilt):
    cells = rebuilt.notebook.cells
    return {
        c.metadata.nbgrader.grade_id: c.source
        for c in cells
        if "nbgrader" in c.metadata
    }


def find(notebook, grade_id):
    return next(i for i, cell in enumerate(notebook.cells) if cell.id == grade_id)


@pytest.fixture
def solved(release):
    return answer(copy.deepcopy(release), **RIGHT)


def has_all_answers(rebuilt):
    found = sources(rebuilt)
    return all(found[f"toy-{name}"] == source for name, source in RIGHT.items())


def test_frame_is_the_instructors_with_hidden_checks(rebuild_work, solved):
    rebuilt = rebuild_work(solved)
    assert has_all_answers(rebuilt)
    assert rebuilt.notes == []
    full = {c.id: c.source for c in toy_source().cells}
    for grade_id in ("toy-double-tests", "toy-triple-tests"):
        assert sources(rebuilt)[grade_id] == full[grade_id]


def retagged(work):
    for cell in work.cells:
        cell.metadata = {"tags": ["skip-execution"]}


def reidentified(work):
    for number, cell in enumerate(work.cells):
        cell.id = f"other-{number}"


def shuffled(work):
    random.Random(3).shuffle(work.cells)


def points_raised(work):
    for cell in work.cells:
        if "points" in cell.metadata.get("nbgrader", {}):
            cell.metadata.nbgrader["points"] = 1000


def checks_rewritten(work):
    for cell in work.cells:
        if cell.id.endswith("-tests"):
            cell.source = "1000"


def checks_deleted(work):
    work.cells = [cell for cell in work.cells if not cell.id.endswith("-tests")]


def checks_copied(work):
    work.cells += [copy.deepcopy(c) for c in work.cells if c.id.endswith("-tests")]


def all_but_answers_deleted(work):
    names = [f"toy-{name}" for name in RIGHT]
    work.cells = [cell for cell in work.cells if cell.id in names]


EDITS = [
    retagged,
    reidentified,
    shuffled,
    points_raised,
    checks_rewritten,
    checks_deleted,
    checks_copied,
    all_but_answers_deleted,
]


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.__name__)
def test_edits_around_the_answers_cost_nothing(rebuild_work, solved, release, edit):
    edit(solved)
    rebuilt = rebuild_work(solved)
    assert has_all_answers(rebuilt)
    given = [c.metadata for c in release.cells]
    assert [c.metadata for c in rebuilt.notebook.cells] == given


def test_tags_and_ids_lost_at_once_are_found_by_name_and_place(rebuild_work, solved):
    retagged(solved)
    reidentified(solved)
    found = sources(rebuild_work(solved))
    assert found["toy-double"] == RIGHT["double"]
    assert found["toy-triple"] == RIGHT["triple"]


def test_split_cell_keeps_both_halves_in_order(rebuild_work, solved):
    at = find(solved, "toy-double")
    half = copy.deepcopy(solved.cells[at])
    half.source, half.id = "import operator", "half"
    solved.cells[at].source = "def double(x):\n    return operator.mul(2, x)"
    solved.cells.insert(at, half)
    rebuilt = rebuild_work(solved)
    texts = [cell.source for cell in rebuilt.notebook.cells]
    other_half = solved.cells[at + 1].source
    assert texts.index("import operator") == texts.index(other_half) - 1
    assert "toy-double stands 2 times" in rebuilt.notes[0]


def test_copied_stub_does_not_replace_an_answer(rebuild_work, solved, release):
    stub = copy.deepcopy(release.cells[find(release, "toy-double")])
    stub.id = "copy"
    solved.cells.append(stub)
    rebuilt = rebuild_work(solved)
    assert has_all_answers(rebuilt)


def test_answers_that_were_merged_into_one_cell_are_there(rebuild_work, solved):
    at = find(solved, "toy-double")
    solved.cells[at].source += "\n\n" + RIGHT["triple"]
    del solved.cells[find(solved, "toy-triple")]
    rebuilt = rebuild_work(solved)
    assert sources(rebuilt)["toy-triple"] == ""
    assert rebuilt.notes == ["toy-triple is missing: another cell defines it"]


def test_what_is_defined_in_a_graded_cell_is_no_answer(rebuild_work, solved):
    solved.cells[find(solved, "toy-double-tests")].source = RIGHT["triple"]
    del solved.cells[find(solved, "toy-triple")]
    assert "toy-triple is missing: graded as unanswered" in rebuild_work(solved).notes


def test_deleted_answer_is_graded_as_unanswered(rebuild_work, solved, release):
    del solved.cells[find(solved, "toy-triple")]
    rebuilt = rebuild_work(solved)
    stub = release.cells[find(release, "toy-triple")].source
    assert sources(rebuilt)["toy-triple"] == stub
    assert rebuilt.notes == ["toy-triple is missing: graded as unanswered"]


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("from grader import alongside", "alongside, grader"),
        ("import grader.inside", "grader"),
        ("__import__('grader')", "grader"),
        ("%%time\nimport sys\nsys._getframe(1)", "_getframe"),
        ("import signal\nsignal.setitimer(1, 0)", "setitimer"),
        ("import grades, graders\nx = 'a grader'", ""),
    ],
)
def test_code_that_handles_its_judge_is_for_a_person_to_see(
    rebuild_work, solved, code, words
):
    solved.cells.append(nbformat.v4.new_code_cell(code))
    solved.cells.append(nbformat.v4.new_markdown_cell("from grader import alongside"))
    notes = rebuild_work(solved).notes
    assert [n.partition(" uses ")[2] for n in notes] == (
        [f"{words}: have a look at it"] if words else []
    )


def test_odd_code_of_the_instructors_is_not_noted(release, submit):
    source, work = toy_source(), copy.deepcopy(release)
    for notebook in (source, release, work):
        odd = nbformat.v4.new_code_cell("import ctypes", id="odd")
        notebook.cells.insert(0, odd)
    rebuilt = rebuild(source, release, read_cells(submit("s", _text(work))))
    assert "import ctypes" in [cell.source for cell in rebuilt.notebook.cells]
    assert not [note for note in rebuilt.notes if "ctypes" in note]


def test_notes_of_one_submission_are_not_anothers(rebuild_work, solved):
    rebuilt = rebuild_work(solved)
    rebuilt.notebook.metadata["mine"] = True
    assert "mine" not in rebuild_work(solved).notebook.metadata


def test_cells_that_a_student_added_stay_where_they_were(rebuild_work, solved):
    at = find(solved, "toy-double")
    solved.cells.insert(at, nbformat.v4.new_code_cell("def helper(): pass"))
    solved.cells.insert(0, nbformat.v4.new_markdown_cell("mine"))
    texts = [cell.source for cell in rebuild_work(solved).notebook.cells]
    assert texts[0] == "mine"
    assert texts.index("def helper(): pass") == texts.index(RIGHT["double"]) - 1


def test_ordinary_cells_may_be_changed_by_the_student(rebuild_work, solved):
    at = find(solved, "imports")
    solved.cells[at].source = "import math, operator"
    texts = [cell.source for cell in rebuild_work(solved).notebook.cells]
    assert "import math, operator" in texts
    assert "import math" not in texts


def test_rebuilt_notebook_is_valid_and_the_same_each_time(rebuild_work, solved):
    shuffled(solved)
    solved.cells.append(nbformat.v4.new_raw_cell("a note"))
    first, second = rebuild_work(solved), rebuild_work(solved)
    nbformat.validate(first.notebook)
    assert nbformat.writes(first.notebook) == nbformat.writes(second.notebook)


def test_random_damage_never_stops_the_rebuilding(rebuild_work, solved, release):
    rng = random.Random(0)
    for _ in range(200):
        work = copy.deepcopy(solved)
        for _ in range(rng.randrange(1, 6)):
            i = rng.randrange(len(work.cells))
            j = rng.randrange(len(work.cells))
            edit = rng.choice(["copy", "swap", "retag", "type", "id"])
            cell = work.cells[i]
            if edit == "copy":
                work.cells.insert(j, copy.deepcopy(cell))
            elif edit == "swap":
                work.cells[i], work.cells[j] = work.cells[j], cell
            elif edit == "retag":
                cell.metadata = copy.deepcopy(work.cells[j].metadata)
            elif edit == "type":
                cell.cell_type = rng.choice(["code", "markdown", "raw"])
            else:
                cell.id = work.cells[j].id
        cells = [
            {
                "cell_type": c.cell_type,
                "id": c.id,
                "source": c.source,
                "nbgrader": dict(c.metadata.get("nbgrader", {})),
            }
            for c in work.cells
        ]
        rebuilt = rebuild(toy_source(), release, cells)
        nbformat.validate(rebuilt.notebook)
        graded = [
            c.id
            for c in rebuilt.notebook.cells
            if c.metadata.get("nbgrader", {}).get("grade")
        ]
        assert graded == ["toy-double-tests", "toy-triple-tests", "toy-why"]
