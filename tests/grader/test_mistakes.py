"""Wrong answers are edits of right ones: exact, with their own source."""

import inspect

import pytest

from grader.mistakes import edited, source_of

FACTOR = 3


def scaled(x):
    return FACTOR * x + 1


class Counter:
    step = 1

    def next(self, x):
        return x + self.step * FACTOR


def test_an_edit_changes_what_the_function_does_and_not_the_original():
    wrong = edited(scaled, ("+ 1", "- 1"))
    assert (wrong(2), scaled(2)) == (5, 7)
    assert wrong.__name__ == "scaled"


def test_several_edits_are_applied_together():
    assert edited(scaled, ("FACTOR", "10"), ("+ 1", ""))(2) == 20


def test_an_edited_function_sees_the_names_of_its_module():
    assert edited(scaled, ("+ 1", "+ FACTOR"))(0) == 3


def test_classes_are_edited_too():
    wrong = edited(Counter, ("step = 1", "step = 2"))
    assert (wrong().next(0), Counter().next(0)) == (6, 3)


def test_an_edit_of_an_edit_starts_from_the_edited_source():
    once = edited(Counter, ("step = 1", "step = 2"))
    assert edited(once, ("step = 2", "step = 5"))().next(0) == 15


@pytest.mark.parametrize(
    ("answer", "edit"),
    [(scaled, ("+ 1", "- 1")), (Counter, ("step = 1", "step = 2"))],
    ids=["function", "class"],
)
def test_the_edited_source_can_be_read(answer, edit):
    source = source_of(edited(answer, edit))
    assert edit[1] in source
    assert edit[0] not in source
    assert source_of(answer) == inspect.getsource(answer)


@pytest.mark.parametrize("old", ["nowhere", "x"], ids=["absent", "twice"])
def test_an_edit_that_does_not_stand_exactly_once_is_refused(old):
    with pytest.raises(ValueError, match=f"{old!r} stands . times"):
        edited(scaled, (old, "y"))
