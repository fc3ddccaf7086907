"""The engine of the checks compares strictly, and no answer gets at its verdict."""

import contextlib
import gc
import os
import subprocess
import sys
from collections import OrderedDict, namedtuple

import numpy as np
import pytest
import torch

from grader import alongside, checking
from grader.checking import (
    VERDICT_MIME,
    Exercise,
    Mistake,
    Property,
    Report,
    StudentError,
    beside,
    disagreement,
    plain,
    running,
)

INF, NAN = np.inf, np.nan


def array(*entries, dtype=np.float64):
    return np.array(entries, dtype=dtype)


# --- comparing ---

AGREE = {
    "equal arrays": (array(1, 2), array(1, 2)),
    "rounding": (array(1 + 1e-9, 2), array(1, 2)),
    "rounding of float32": (array(1.00001, dtype="f4"), array(1, dtype="f4")),
    "rounding beside large entries": (array(1e4, 1e-5), array(1e4, 0)),
    "rounding where zeros are expected": (array(1e-16, 0), array(0, 0)),
    "nan where nan is expected": (array(NAN, 1), array(NAN, 1)),
    "-inf where -inf is expected": (array(-INF, 1), array(-INF, 1)),
    "no entries": (np.zeros((0, 3)), np.zeros((0, 3))),
    "a tensor for an array": (torch.tensor([1.0, 2.0]), array(1, 2, dtype="f4")),
    "any float for a float": (np.float32(0.5), 0.5),
    "a whole number for a float": (2, 2.0),
    "an array without axes for a float": (np.array(0.5), 0.5),
    "nan for nan": (NAN, NAN),
    "inf for inf": (INF, INF),
    "a list for a tuple": ([1.0, array(1)], (1.0, array(1))),
    "equal dicts": ({"a": array(1), "b": 2}, {"b": 2.0, "a": array(1)}),
    "NumPy's True": (np.True_, True),
    "None": (None, None),
    "text": ("a", "a"),
}

DIFFER = {
    "values": (array(1, 2), array(1, 3)),
    "one value of many": (np.r_[np.ones(999), 1.1], np.ones(1000)),
    "sign": (array(-1), array(1)),
    "shape": (array(1, 1), array(1)),
    "shape that broadcasts": (np.ones((3, 1)), np.ones((3, 3))),
    "transposed": (np.ones((2, 3)), np.ones((3, 2))),
    "dtype": (array(1, dtype="f4"), array(1)),
    "wider dtype": (array(1), array(1, dtype="f4")),
    "integers for floats": (array(1, dtype=int), array(1)),
    "nan for a number": (array(NAN), array(1)),
    "nan everywhere": (np.full(3, NAN), np.ones(3)),
    "a number for nan": (array(1), array(NAN)),
    "inf for a number": (array(INF), array(1)),
    "-inf for inf": (array(-INF), array(INF)),
    "a number for -inf": (array(-1e300), array(-INF)),
    "a number for inf, not in an array": (1.0, INF),
    "a number for nan, not in an array": (1.0, NAN),
    "-inf for inf, not in an array": (-INF, INF),
    "nan for a number, not in an array": (NAN, 1.0),
    "None for an array": (None, array(1)),
    "numbers that NumPy doesn't have": (torch.ones(1).bfloat16(), array(1)),
    "a list for an array": ([1.0], array(1)),
    "a number for an array": (1.0, array(1)),
    "an array for a number": (array(1), 1.0),
    "text for a number": ("1.0", 1.0),
    "True for 1": (True, 1.0),
    "a complex number": (1 + 0j, 1.0),
    "1 for True": (1, True),
    "a number too small to see": (1.0, 1.0001),
    "missing entry": ({"a": 1.0}, {"a": 1.0, "b": 1.0}),
    "extra entry": ({"a": 1.0, "b": 1.0}, {"a": 1.0}),
    "wrong entry": ({"a": 1.0}, {"a": 2.0}),
    "keys of all kinds": ({1: 1.0, "a": 2.0, None: 3.0}, {"a": 2.0}),
    "a list for a dict": ([1.0], {"a": 1.0}),
    "shorter": ([1.0], [1.0, 2.0]),
    "longer": ([1.0, 2.0], [1.0]),
    "a number for a list": (1.0, [1.0]),
    "text": ("a", "b"),
    "zero for None": (0, None),
}


@pytest.mark.parametrize(("seen", "expected"), AGREE.values(), ids=AGREE)
def test_what_agrees_passes(seen, expected):
    assert disagreement("x", seen, expected) == ""


@pytest.mark.parametrize(("seen", "expected"), DIFFER.values(), ids=DIFFER)
def test_what_differs_fails_with_words(seen, expected):
    assert "`x" in disagreement("x", seen, expected)


def test_words_name_shape_and_dtype_but_no_expected_number():
    words = disagreement("dw", np.ones((2, 3)), np.full((3, 2), 0.7315))
    assert "(2, 3)" in words
    assert "(3, 2)" in words
    assert "float32" in disagreement("dw", array(1, dtype="f4"), array(0.7315))
    assert "7315" not in disagreement("dw", array(1), array(0.7315))
    assert "7315" not in disagreement("loss", 1.0, 0.7315)


def test_a_property_can_be_more_tolerant():
    assert disagreement("x", array(1.001), array(1), rtol=1e-2) == ""
    assert disagreement("x", 1.001, 1.0, rtol=1e-2) == ""
    assert disagreement("x", array(1.1), array(1), rtol=1e-2)


# --- what comes back from student code ---


class Liar:
    """Claims to be an array, equal to anything."""

    __class__ = np.ndarray
    shape, dtype, ndim = (), np.dtype(float), 0

    def __eq__(self, other):
        return True

    __hash__ = None

    def __array__(self, *args, **kwargs):
        frame = sys._getframe()
        while frame:
            if "expected" in frame.f_locals:
                return np.asarray(frame.f_locals["expected"])
            frame = frame.f_back
        return np.zeros(())


class LyingTensor(Liar):
    __class__ = torch.Tensor
    __module__ = "torch"

    def detach(self):
        return self

    clone = cpu = detach

    def numpy(self):
        return self.__array__()


class LyingFloat(float):
    def __eq__(self, other):
        return True

    __hash__ = float.__hash__

    def __sub__(self, other):
        return 0.0


class LyingArray(np.ndarray):
    def __eq__(self, other):
        return np.ones(self.shape, bool)

    def __array_function__(self, *args, **kwargs):
        return True


class LyingDict(dict):
    def __getitem__(self, key):
        return 1.0

    def items(self):
        return [("a", 1.0)]


class LyingList(list):
    def __iter__(self):
        return iter([1.0])

    def __len__(self):
        return 1


@pytest.mark.parametrize(
    "value",
    [
        Liar(),
        LyingTensor(),
        LyingFloat(1),
        object(),
        len,
        (i for i in range(3)),
        {1, 2},
        np.array([Liar()], dtype=object),
        np.array(["text"]),
        [1, [2, Liar()]],
        {"a": {"b": Liar()}},
        np.zeros(1, dtype=[("a", float)]),
    ],
    ids=lambda v: type(v).__name__,
)
def test_what_is_not_plain_data_is_refused(value):
    with pytest.raises(StudentError, match="came back"):
        plain(value)


def test_subclasses_of_arrays_become_plain_arrays():
    made = plain(np.ones(3).view(LyingArray))
    assert type(made) is np.ndarray
    assert disagreement("x", made, np.zeros(3))
    masked = plain(np.ma.masked_array([1.0, 2.0], [True, False]))
    assert type(masked) is np.ndarray


def test_of_subclasses_of_containers_the_true_contents_count():
    assert plain(LyingDict(a=2.0)) == {"a": 2.0}
    assert plain(LyingList([2.0, 3.0])) == [2.0, 3.0]
    named = namedtuple("named", "loss grads")(1.0, OrderedDict(b=2.0))
    assert [type(part) for part in (plain(named), plain(named)[1])] == [tuple, dict]


def test_plain_copies():
    original = np.zeros(3)
    made = plain({"a": [original]})
    original += 1
    assert not made["a"][0].any()


def test_tensors_cross_without_their_graph():
    x = torch.ones(2, requires_grad=True)
    made = plain(x * 2)
    assert not made.requires_grad
    assert type(plain(torch.nn.Parameter(x))) is torch.Tensor


def test_numpy_numbers_keep_their_dtype():
    assert plain(np.float32(0.5)).dtype == np.float32
    assert plain(np.array(0.5, dtype=np.float32)).shape == ()


def test_a_list_that_holds_itself_is_an_error_of_the_student():
    loop = []
    loop.append(loop)
    with pytest.raises(StudentError, match="holds itself"):
        beside(lambda: loop, (), {})


class Mute(Exception):
    def __str__(self):
        raise ValueError("not even this")


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (SystemExit(0), "SystemExit"),
        (ValueError("shapes"), "ValueError"),
        (RecursionError("deep"), "RecursionError"),
        (NotImplementedError(), "NotImplementedError"),
        (AssertionError(), "AssertionError"),
        (StopIteration(), "StopIteration"),
        (Mute(), "Mute"),
    ],
    ids=lambda v: getattr(v, "__class__", type(v)).__name__,
)
def test_whatever_student_code_raises_is_a_student_error(error, kind):
    def function():
        raise error

    with pytest.raises(StudentError) as caught:
        beside(function, (), {})
    assert caught.value.kind == kind


def test_an_interrupt_stops_the_check():
    def function():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        beside(function, (), {})


def test_long_errors_are_cut():
    def function():
        raise ValueError("x" * 10_000)

    with pytest.raises(StudentError) as caught:
        beside(function, (), {})
    assert len(str(caught.value)) < 300


def test_students_get_copies_of_the_data():
    data = {"x": np.zeros(3)}

    def function(x):
        x += 1
        return x

    assert beside(function, (), data).tolist() == [1, 1, 1]
    assert data["x"].tolist() == [0, 0, 0]


def test_another_place_can_run_what_runs_beside():
    with running(lambda function, students, data: (students, data)):
        assert beside(len, ("a",), {"b": 1}) == (("a",), {"b": 1})
    assert beside(len, ("a",), {}) == 1


def test_each_case_comes_to_its_own_end():
    def run(f, x):
        if x == 2:
            raise SystemExit("no")
        return f(x)

    told = alongside.each(run, abs, seed=1, cases=[{"x": -1}, {"x": 2}, {"x": -3}])
    error = {"kind": "SystemExit", "text": "no"}
    assert told == [{"value": 1}, {"error": error}, {"value": 3}]


def test_each_result_is_what_it_was_when_it_came_back():
    out = np.zeros(1)

    def writes_into_one_array(x):
        out[:] = 2 * x
        return out

    def run(f, x):
        return {"out": f(x)}

    cases = [{"x": 1}, {"x": 2}]
    told = alongside.each(run, writes_into_one_array, seed=1, cases=cases)
    assert [case["value"]["out"].item() for case in told] == [2, 4]


# --- exercises ---


def run_double(double, x):
    result, seen = alongside.watch(double, x=x)
    return {"out": result, **seen}


def numbers(rng):
    return [{"x": rng.normal(size=3)}, {"x": rng.normal(size=(2, 2))}]


def large_numbers(rng):
    return [{"x": 1e3 * rng.normal(size=4)}]


def halves(x):
    return x / 2


def drops_sign(x):
    return 2 * abs(x)


def in_place(x):
    x *= 2
    return x


def property_(name, points, *keys, cases=numbers, **more):
    return Property(name=name, points=points, cases=cases, keys=keys, **more)


def mistake(function, message):
    return Mistake(name=function.__name__, message=message, functions=(function,))


DOUBLE = Exercise(
    name="double",
    run=run_double,
    oracle=lambda x: {"out": x + x, "changed": [], "warnings": []},
    properties=(
        property_("doubles", 2, "out"),
        property_("doubles what is large", 1, "out", cases=large_numbers),
        property_("keeps x", 1, "out", "changed", hint="Copy first"),
    ),
    mistakes=(
        mistake(halves, "it halves"),
        mistake(drops_sign, "it drops the sign"),
        mistake(in_place, "it works in place"),
    ),
)


def findings(function, exercise=DOUBLE):
    return {f.property: f for f in exercise(function).findings}


def test_a_right_answer_earns_all_points():
    report = DOUBLE(lambda x: 2 * x)
    assert (report.score, report.max_score, report.findings) == (4, 4, ())
    assert repr(report) == "4"


def test_a_wrong_answer_earns_nothing_and_is_named():
    report = DOUBLE(halves)
    assert report.score == 0
    assert {f.message for f in report.findings} == {"it halves"}
    assert "it halves" in report.to_markdown()


def ways(asked, together=None):
    """A place that notes what is asked, and may answer otherwise for all cases."""

    def place(function, students, data, most_s=30):
        asked.append(function.__name__)
        told = checking._run_here(function, students, data)
        return together(told) if together and function is alongside.each else told

    return place


def test_the_cases_of_a_property_cross_in_one_message():
    asked = []
    with running(ways(asked)):
        assert DOUBLE(lambda x: 2 * x).score == 4
        assert asked == ["each", "seeded"]
        assert DOUBLE(halves) == DOUBLE(halves)
        assert DOUBLE(halves).findings[0].mistakes == ("halves",)


def fails(told):
    raise StudentError("TimeoutError", "it takes more than 10 s")


@pytest.mark.parametrize(
    "together",
    [
        fails,
        lambda told: None,
        lambda told: [],
        lambda told: [*told, *told],
        lambda told: [told[0], 5],
        lambda told: [told[0], {}],
        lambda told: [told[0], {"error": "wrong"}],
        lambda told: [told[0], {"error": {"kind": 1, "text": ""}}],
        lambda told: [told[0], {"value": {1, 2}}],
    ],
)
def test_what_goes_wrong_together_goes_one_by_one(together):
    asked = []
    with running(ways(asked, together)):
        assert DOUBLE(lambda x: 2 * x).score == 4
    assert asked == ["each", "seeded", "seeded", "seeded"]


def test_what_takes_long_together_takes_several_messages():
    asked = []
    with running(ways(asked, lambda told: told[:1])):
        assert DOUBLE(lambda x: 2 * x).score == 4
    assert asked == ["each", "each", "seeded"]


def test_cases_wait_for_the_next_message_once_a_second_is_over(monkeypatch):
    def run(f, x):
        return f(x)

    clock = iter([0.0, 0.4, 1.1, 1.2])
    monkeypatch.setattr(alongside.time, "monotonic", lambda: next(clock))
    cases = [{"x": -n} for n in range(9)]
    told = alongside.each(run, abs, seed=1, cases=cases)
    assert told == [{"value": 0}, {"value": 1}]


def test_an_error_that_is_told_is_one_line():
    def forge(told):
        error = {"kind": "Value\nError", "text": "a\n\n# b" + 300 * "c"}
        return [told[0], {"error": error}]

    with running(ways([], forge)):
        message = findings(lambda x: 2 * x)["doubles"].message
    assert message == "your code raised Value Error: a # b" + 195 * "c"


def test_half_characters_and_long_texts_become_what_can_be_written():
    def half(x):
        raise ValueError("\ud800 x")

    message = findings(half)["doubles"].message
    assert message == "your code raised ValueError: ? x"
    finding = findings(lambda x: "\ud83d" * 10**6)["doubles"]
    assert len(finding.message.encode()) <= 2000


class Sums(Exercise):
    def _looked_at(self, seen, case):
        return {**seen, "out": seen["out"].sum()}


def test_what_is_looked_at_is_the_same_on_both_ways():
    parts = vars(DOUBLE) | {"oracle": lambda x: {"out": 2 * x.sum(), "changed": []}}
    summed = Sums(**parts | {"properties": (property_("adds", 1, "out"),)})
    for together in (None, fails):
        with running(ways([], together)):
            assert summed(lambda x: 2 * x[::-1]).score == 1
            assert summed(lambda x: 2 * x + 1).score == 0


def test_an_error_in_one_case_is_that_cases():
    def squares_only(x):
        if x.ndim == 1:
            raise ValueError("no square")
        return 2 * x

    with running(ways([])):
        found = findings(squares_only)
    assert found["doubles"].message == "your code raised ValueError: no square"


def test_one_failing_property_does_not_hide_the_next():
    found = findings(in_place)
    assert list(found) == ["keeps x"]
    assert found["keeps x"].mistakes == ("in_place",)


def test_a_wrong_answer_that_nobody_knows_gets_words_and_the_hint():
    found = findings(lambda x: 2 * x + 1)
    assert found["doubles"].message == "the values of `out` are wrong"
    assert found["doubles"].mistakes == ()

    def changes(x):
        out = 2 * x
        x += 1
        return out

    found = findings(changes)
    # the mistake that changes x in place makes the same finding on this key
    assert found["keeps x"].points == 1


def test_side_effects_are_told_in_words():
    exercise = Exercise(
        name="double",
        run=run_double,
        oracle=DOUBLE.oracle,
        properties=(property_("is careful", 1, "out", "changed", "warnings"),),
    )

    def careless(x):
        out = 2 * x
        np.log(-np.ones(1))
        x += 1
        return out

    message = findings(careless, exercise)["is careful"].message
    assert "changes what it was given: `x`" in message
    assert "invalid value encountered in log" in message


def test_an_error_costs_the_cases_it_happens_in():
    def fails_on_matrices(x):
        if x.ndim > 1:
            raise ValueError("too many axes")
        return 2 * x

    found = findings(fails_on_matrices)
    assert sorted(found) == ["doubles", "keeps x"]
    assert "ValueError: too many axes" in found["doubles"].message


def test_an_unanswered_stub_is_called_so():
    def stub(x):
        raise NotImplementedError()

    report = DOUBLE(stub)
    assert report.score == 0
    assert report.to_markdown().endswith("not answered yet")


@pytest.mark.parametrize("answer", [None, 3, "text", Liar(), [], type])
def test_what_is_no_function_scores_nothing(answer):
    assert DOUBLE(answer).score == 0


def test_returning_liars_scores_nothing():
    for liar in (Liar(), LyingTensor(), LyingFloat(2), np.ones(3).view(LyingArray)):
        assert DOUBLE(lambda x, liar=liar: liar).score == 0


def test_an_answer_cannot_alter_the_inputs_of_the_oracle():
    def zeroes(x):
        x *= 0
        return x

    assert DOUBLE(zeroes).score == 0


def test_leaving_the_process_scores_nothing():
    def leaves(x):
        sys.exit(0)

    assert DOUBLE(leaves).score == 0


def test_the_mistake_that_explains_most_is_named_alone():
    def halves_small(x):
        return x / 2 if abs(x).max() < 100 else 2 * x

    exercise = Exercise(
        name="double",
        run=run_double,
        oracle=DOUBLE.oracle,
        properties=DOUBLE.properties,
        mistakes=(mistake(halves_small, "some"), mistake(halves, "all")),
    )
    found = findings(halves, exercise)
    assert {f.message for f in found.values()} == {"all"}
    found = findings(halves_small, exercise)
    assert {f.message for f in found.values()} == {"some"}


def test_two_mistakes_are_both_named():
    def both(x):
        x *= 2
        return x / 4

    message = findings(both)["keeps x"].message
    assert "it halves" in message
    assert "in place" in message


def test_different_errors_are_not_the_same_mistake():
    def raises_other(x):
        raise ValueError("of another kind")

    def raises(x):
        raise ValueError("of one kind")

    exercise = Exercise(
        name="double",
        run=run_double,
        oracle=DOUBLE.oracle,
        properties=DOUBLE.properties,
        mistakes=(mistake(raises_other, "the other"),),
    )
    assert "the other" not in exercise(raises).to_markdown()


def test_a_comparison_of_its_own_decides():
    def at_least(key, seen, expected):
        return "" if (seen >= expected).all() else "too small"

    exercise = Exercise(
        name="double",
        run=run_double,
        oracle=DOUBLE.oracle,
        properties=(property_("reaches", 1, "out", compare=at_least),),
    )
    assert exercise(lambda x: 2 * x + 5).score == 1
    assert findings(lambda x: 2 * x - 5, exercise)["reaches"].message == "too small"


def test_properties_with_the_same_cases_share_one_run():
    calls = []

    def counted(x):
        calls.append(1)
        return 2 * x

    DOUBLE(counted)
    assert len(calls) == 3


def test_inputs_depend_on_secret_student_and_exercise(monkeypatch):
    def drawn(*labels):
        return checking._rng(*labels).integers(10**9)

    monkeypatch.setenv("FOVEA_SECRET", "one")
    monkeypatch.setenv("FOVEA_STUDENT", "ada")
    first = drawn("a", "b")
    assert drawn("a", "b") == first
    assert drawn("a", "c") != first
    monkeypatch.setenv("FOVEA_STUDENT", "grace")
    assert drawn("a", "b") != first
    monkeypatch.setenv("FOVEA_STUDENT", "ada")
    monkeypatch.setenv("FOVEA_SECRET", "two")
    assert drawn("a", "b") != first


def test_students_get_the_same_global_seed_in_every_run():
    def random_numbers(x):
        return x + np.random.random()  # noqa: NPY002

    def observed():
        exercise = Exercise(
            name="random",
            run=lambda f, x: {"out": seen.append(f(x)) or x},
            oracle=lambda x: {"out": x},
            properties=(property_("is anything", 1, "out"),),
        )
        seen: list = []
        exercise(random_numbers)
        return seen

    for a, b in zip(observed(), observed(), strict=True):
        assert np.array_equal(a, b)


# --- the report ---


def test_a_report_is_shown_as_number_text_and_data():
    bundle = DOUBLE(in_place)._repr_mimebundle_()
    assert float(bundle["text/plain"]) == 3
    assert "3 of 4 points" in bundle["text/markdown"]
    assert bundle[VERDICT_MIME]["score"] == 3
    assert bundle[VERDICT_MIME]["findings"][0]["mistakes"] == ["in_place"]


@pytest.mark.parametrize("score", [0.0, 0.25, 1 / 3, 10.0])
def test_the_text_of_a_report_is_a_number_that_nbgrader_reads(score):
    report = Report(exercise="a", score=score, max_score=10.0)
    assert float(repr(report)) == pytest.approx(score, abs=1e-5)


# --- alongside ---


def test_watch_sees_changes_of_contents_shape_and_dtype():
    def reshapes(a):
        a.shape = (4,)

    def fills(a):
        a[0] = NAN

    for function in (reshapes, fills):
        _, seen = alongside.watch(function, a=np.zeros((2, 2)))
        assert seen["changed"] == ["a"]
    _, seen = alongside.watch(lambda a, b: b.update(c=1), a=1, b={})
    assert seen["changed"] == ["b"]
    _, seen = alongside.watch(lambda a: a.copy(), a=np.full(3, NAN))
    assert seen["changed"] == []


def test_watch_hears_numpy_warn_and_nobody_else():
    import warnings

    def warns(a):
        warnings.warn("old", DeprecationWarning, stacklevel=1)
        return np.exp(a)

    _, seen = alongside.watch(warns, a=np.full(1, 1e4))
    assert seen["warnings"] == ["overflow encountered in exp"]


@pytest.mark.parametrize("result", [None, 1.0, np.zeros(2), "ab", (1,), (1, 2, 3)])
def test_unpack_says_what_was_returned(result):
    with pytest.raises(TypeError, match=r"\(out, cache\) is promised"):
        alongside.unpack(result, "out", "cache")


def test_unpack_takes_tuples_and_lists():
    assert alongside.unpack([1, 2], "a", "b") == alongside.unpack((1, 2), "a", "b")


def test_within_stops_what_computes_for_ever_and_nothing_else():
    def for_ever():
        while True:
            pass

    with pytest.raises(TimeoutError, match="computes for more than 0.05 s"):
        alongside.within(0.05, for_ever)
    assert alongside.within(5, sum, [1, 2]) == 3
    # looking for garbage would count as computing
    assert not alongside.within(5, gc.isenabled)
    assert gc.isenabled()


def test_within_is_not_deceived_by_who_catches_it_or_lets_others_compute():
    def goes_on():
        with contextlib.suppress(TimeoutError):
            computes(9)
        computes(0.2)

    def lets_another_compute():
        code = "import os\nwhile os.times().user < 0.3: sum(range(10**6))"
        subprocess.run([sys.executable, "-c", code], check=True)

    def computes(seconds):
        end = os.times().user + seconds
        while os.times().user < end:
            sum(range(10**6))

    for function in (goes_on, lets_another_compute):
        with pytest.raises(TimeoutError, match="computes for more than 0.1 s"):
            alongside.within(0.1, function)
