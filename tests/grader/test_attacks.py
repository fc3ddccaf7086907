import json
from collections import Counter
from concurrent.futures import Future
from contextlib import nullcontext
from pathlib import Path

import nbformat
import pytest

from grader import __main__ as command_line
from grader.attacks import Attack, target
from grader.attacks.corpus import ATTACKS, read
from grader.attacks.outcome import Outcome, attack_table
from grader.attacks.run import try_all, try_attacks
from grader.checking import VERDICT_MIME

ROOT = Path(__file__).parents[2]


class Fake:
    """An executor that gives each exercise its points, and more as it is told."""

    enclosed = True

    def __init__(self, attacker: dict, follower: dict | None = None, left: str = "[]"):
        self.points = {"attacker": attacker, "next": follower or {}}
        self.left = left

    def submit(self, task) -> Future:
        notebook = nbformat.reads(task.notebook, as_version=4)
        points = target.POINTS | self.points.get(task.student, {})
        for cell in notebook.cells:
            tags = cell.metadata.get("nbgrader", {})
            if cell.cell_type == "code" and tags.get("grade"):
                name = tags["grade_id"].removeprefix("target-").removesuffix("-tests")
                report = {"score": points[name], "max": target.POINTS[name]}
                data = {VERDICT_MIME: report | {"findings": []}}
                cell.outputs = [nbformat.v4.new_output("execute_result", data)]
            elif "left" in cell.source:
                text = f"left: {self.left}"
                cell.outputs = [nbformat.v4.new_output("stream", text=text)]
        future = Future()
        future.set_result(nbformat.writes(notebook))
        return future


def attack(**more) -> Attack:
    fields = {"name": "try", "kind": "trial", "aim": "", "points": {"affine": 0}}
    return Attack(**fields | more)


def outcome(executor, tried: Attack) -> Outcome:
    (found,) = try_attacks([tried], lambda: nullcontext(executor))
    return found


def test_there_are_many_attacks_each_with_a_name_of_its_own():
    names = [attack.name for attack in ATTACKS]
    assert len(names) >= 50
    assert [name for name, count in Counter(names).items() if count > 1] == []


def test_each_attack_says_what_it_tries_and_names_exercises():
    for tried in ATTACKS:
        assert tried.aim
        assert tried.cells.keys() <= {*target.RIGHT, "setup", "end"}, tried.name
        assert tried.points.keys() <= target.POINTS.keys(), tried.name
        # what earns less than all was attacked, or nothing is earned at all
        assert tried.points.keys() <= tried.cells.keys(), tried.name


def test_only_what_happens_within_the_students_process_is_known_to_succeed():
    assert [tried.name for tried in ATTACKS if tried.known] == ["hidden change"]


def test_text_is_read(tmp_path):
    text = (
        "import shared\n\n=== one (plain)\ntries one\nknown: well known\n"
        "--- affine: 1\nfirst\n\n--- end\nlast\n\n=== two\ntries two\n--- why\nw\n"
    )
    (tmp_path / "two_words.txt").write_text(text)
    one, two = read(tmp_path / "two_words.txt")
    assert one == Attack(
        name="one",
        kind="two words",
        aim="tries one",
        cells={"affine": "import shared\nfirst", "end": "last"},
        points={"affine": 1},
        plain=True,
        known="well known",
    )
    assert (two.name, two.plain, two.known) == ("two", False, "")


@pytest.mark.slow
def test_gained_points_and_harm_are_reported(monkeypatch):
    monkeypatch.chdir(ROOT)
    fine = outcome(Fake({"affine": 0}), attack())
    assert (fine.verdict, fine.as_expected) == ("ok", True)
    gained = outcome(Fake({"affine": 1}), attack())
    assert (gained.verdict, gained.as_expected) == ("GAINED", False)
    assert "affine: 1.0 points, where 0 are earned" in attack_table([gained])
    known = outcome(Fake({"affine": 1}), attack(known="so it is"))
    assert (known.verdict, known.as_expected) == ("known", True)
    lost = outcome(Fake({"affine": 0, "slope": 1}), attack())
    assert (lost.verdict, lost.as_expected) == ("LOST", False)
    wrong = outcome(Fake({"affine": 0}, {"slope": 1}), attack())
    assert wrong.verdict == "HARM"
    assert "the next student is graded wrongly" in attack_table([wrong])
    dirty = outcome(Fake({"affine": 0}, left="['/tmp/file']"), attack())
    assert "/tmp/file" in attack_table([dirty])


@pytest.mark.slow
def test_what_changes_or_leaks_is_harm(monkeypatch):
    monkeypatch.chdir(ROOT)

    def course(path: Path) -> Path:
        return path.parents[3]

    def spoil(path: Path) -> None:
        source = course(path) / "solutions/01_target/target.ipynb"
        source.write_text(source.read_text() + " ")

    def leak(path: Path) -> None:
        secret = (course(path) / "course_secret").read_text()
        (path.parent / "notes.txt").write_text(secret)

    executor = Fake({"affine": 0})
    found = {
        edit.__name__: outcome(executor, attack(edit=edit)).harms
        for edit in (spoil, leak)
    }
    assert "solutions/01_target/target.ipynb was changed" in found["spoil"]
    assert found["leak"] == ("notes.txt tells what is the course's secret",)


@pytest.mark.slow
@pytest.mark.sandbox
def test_every_attack_gets_what_it_earns_and_does_no_harm(monkeypatch):
    monkeypatch.chdir(ROOT)
    outcomes = try_all(jobs=2)
    assert len(outcomes) == len(ATTACKS)
    bad = [outcome for outcome in outcomes if not outcome.as_expected]
    assert not bad, attack_table(bad)


@pytest.mark.slow
def test_plain_attacks_work_where_checks_run_with_student_code(monkeypatch):
    # some of them: `python -m grader attack --in-one-process` tries all
    monkeypatch.chdir(ROOT)
    some = [tried for tried in ATTACKS if tried.plain][::4]
    outcomes = try_all(some, jobs=2, in_one_process=True)
    assert len(outcomes) == len(some) > 10
    weak = [o.attack.name for o in outcomes if o.verdict not in ("GAINED", "HARM")]
    assert weak == []


def test_list_names_all_without_trying_them(capsys):
    assert command_line.main(["attack", "--list", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in data] == [tried.name for tried in ATTACKS]


def test_unknown_name_suggests_the_close_one(capsys):
    assert command_line.main(["attack", "--only", "fork bom"]) == 2
    assert "did you mean 'fork bomb'" in capsys.readouterr().err
