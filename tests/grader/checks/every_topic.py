"""The tests that the hidden checks of every topic pass.

A topic's test module takes them all in, says what it is about, and adds its own:

    from tests.grader.checks.every_topic import *  # noqa: F403
    from tests.grader.checks.every_topic import Topic

    TOPIC = Topic(Cells("04_cnn", "import numpy"))

What they try comes from modules named after the topic: ``grader.checks.cnn`` with its
``answers``, ``runs`` and ``unusual``; beside this file ``cnn_unusual``, right answers
as ``UNUSUAL[exercise][name]``, and ``cnn_afterthoughts``, answers written after the
checks were, as ``RIGHT`` and ``WRONG[exercise, name]``; each is a tuple of functions,
one for each argument of the graded call.
"""

import ast
import builtins
import copy
import dis
import functools
import importlib
import inspect
import pickle
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
import pytest

from grader.checking import Exercise
from grader.mistakes import source_of
from tests.grader.checks.cells import Cells


class StandIn:
    """Stands for a student's class; whatever is asked of it, it answers alike."""

    def __init__(self, answer: Callable):
        self.answer, self.params = answer, {}

    def loss(self, X, y=None):
        return self.answer(X, y)

    def step(self, value):
        return self.answer(value)

    def __call__(self, *arguments):
        return self.answer(*arguments)


def stand_in(name: str, answer: Callable) -> Callable:
    """Return a function of trivial answers, or for a class's name a class of them."""
    if name[0].isupper():
        return lambda *sizes, **settings: StandIn(answer)
    return lambda *arguments, **settings: answer(*arguments)


@dataclass(frozen=True)
class Topic:
    """What the tests need to know of a topic.

    - ``trains``: exercises that train; they take seconds, and are judged by a number;
    - ``unlisted``: others without lists of mistakes and of unusual answers;
    - ``min_mistakes``: how many of them every other exercise names;
    - ``shared``: exercises whose mistakes are those of another one, tried there;
    - ``whole``: exercises that ask for whole numbers, so no message may hold one;
    - ``trivial``: more trivial answers than those below, by name;
    - ``allowed``: the share of points that (exercise, trivial answer) may get, if not
      a tenth;
    - ``stand_in(name, answer)``: what stands for a function or class of that name;
    - ``num_seeds``: how many courses the mistakes and unusual answers are tried in.
    """

    cells: Cells
    trains: Collection[str] = ("digits",)
    unlisted: Collection[str] = ()
    min_mistakes: int = 6
    shared: Mapping[str, str] = field(default_factory=dict)
    whole: Collection[str] = ()
    trivial: Mapping[str, Callable] = field(default_factory=dict)
    allowed: Mapping[tuple[str, str], float] = field(default_factory=dict)
    stand_in: Callable[[str, Callable], Any] = stand_in
    num_seeds: int = 2

    @functools.cached_property
    def calls(self) -> list[tuple[str, float, str, list[str]]]:
        return self.cells.graded_calls()

    @functools.cached_property
    def arguments(self) -> dict[str, list[str]]:
        return {exercise: arguments for _, _, exercise, arguments in self.calls}

    @functools.cached_property
    def exercises(self) -> dict[str, Exercise]:
        checks = self.part("grader.checks.{}")
        return {exercise: getattr(checks, exercise) for exercise in self.arguments}

    @functools.cached_property
    def solved(self) -> dict:
        return self.cells.namespace()

    @functools.cached_property
    def released(self) -> dict:
        return self.cells.namespace(released=True)

    def part(self, module: str) -> Any:
        return importlib.import_module(module.format(self.cells.topic))

    def answers(self, exercise: str, names: dict | None = None) -> list:
        """The arguments of the graded call: the solution's, or those in ``names``."""
        names = self.solved if names is None else names
        return [names[argument] for argument in self.arguments[exercise]]

    def compact(self, exercise: str) -> list:
        """The compact right answers that the mistakes are edits of."""
        return self.answers(exercise, vars(self.part("grader.checks.{}.answers")))

    # topics live as long as their tests
    @functools.cache  # noqa: B019
    def scorer(self, exercise: str) -> Exercise:
        """The exercise without recognising mistakes, and with an oracle that remembers:
        both take most of the time, and change no score."""
        check, known = self.exercises[exercise], {}

        def oracle(**case):
            key = _key(case)
            if key not in known or key is None:
                known[key] = check.oracle(**case)
            return copy.deepcopy(known[key])

        return replace(check, oracle=oracle, mistakes=())

    @functools.cache  # noqa: B019
    def namer(self, exercise: str) -> Exercise:
        """The exercise with recognising mistakes, each of which is run once for all."""
        check, known = self.exercises[exercise], {}

        class Remembering(type(check)):
            def _observe(self, functions, case):
                key = tuple(functions), _key(case)
                if key not in known or key[1] is None:
                    known[key] = super()._observe(functions, case)
                return known[key]

        parts = {field.name: getattr(check, field.name) for field in fields(check)}
        return Remembering(**parts | {"oracle": self.scorer(exercise).oracle})

    def __hash__(self) -> int:
        return id(self)


def _key(case: dict) -> bytes | None:
    """Bytes that stand for a case; None for one that pickle doesn't take."""
    try:
        return pickle.dumps(case)
    except (pickle.PicklingError, AttributeError, TypeError):
        return None


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give each test below the cases of the topic whose module takes it in."""
    if metafunc.function.__module__ != __name__:
        return
    topic = metafunc.module.TOPIC
    cases = {
        "exercise": topic.exercises,
        "quick": [e for e in topic.exercises if e not in topic.trains],
        "listed": _listed(topic),
        "unshared": [e for e in _listed(topic) if e not in topic.shared],
        "spoken": [e for e in _listed(topic) if topic.arguments[e][-1][0].islower()],
        "mistaken": _mistakes(topic),
        "unusual": _unusual(topic),
        "right": _named(topic.part("tests.grader.checks.{}_afterthoughts").RIGHT),
        "wrong": _named(topic.part("tests.grader.checks.{}_afterthoughts").WRONG),
        "group": topic.part("grader.checks.{}.unusual").UNUSUAL,
        "kind": TRIVIAL | topic.trivial,
        "run": _runs(topic),
    }
    for name in set(cases) & set(metafunc.fixturenames):
        metafunc.parametrize(name, cases[name])


def _listed(topic: Topic) -> list[str]:
    others = {*topic.trains, *topic.unlisted}
    return [exercise for exercise in topic.exercises if exercise not in others]


def _named(answers: dict) -> list:
    return [
        pytest.param((exercise, functions), id=f"{exercise}-{name}".replace(" ", "_"))
        for (exercise, name), functions in answers.items()
    ]


def _unusual(topic: Topic) -> list:
    found = topic.part("tests.grader.checks.{}_unusual").UNUSUAL
    return _named({(e, name): f for e in found for name, f in found[e].items()})


def _mistakes(topic: Topic) -> list:
    names = {e: {m.name for m in topic.exercises[e].mistakes} for e in topic.exercises}
    return [
        pytest.param((exercise, m), id=f"{exercise}-{m.name}".replace(" ", "_"))
        for exercise, check in topic.exercises.items()
        for m in check.mistakes
        if m.name not in names.get(topic.shared.get(exercise), ())
    ]


def _runs(topic: Topic) -> list:
    found = vars(topic.part("grader.checks.{}.runs")).items()
    return [pytest.param(f, id=n) for n, f in found if n.startswith("run_")]


@pytest.fixture(scope="module")
def topic(request):
    return request.module.TOPIC


@pytest.fixture(autouse=True)
def _own_work(monkeypatch):
    monkeypatch.delenv("FOVEA_STUDENT", raising=False)
    monkeypatch.setenv("FOVEA_SECRET", "a course")


# --- the cells and their points ---


def test_every_exercise_stands_in_one_graded_cell(topic):
    checks = vars(topic.part("grader.checks.{}")).items()
    known = [n for n, c in checks if isinstance(c, Exercise) and n[0] != "_"]
    assert sorted(topic.arguments) == sorted(known)
    assert len(topic.calls) == len(topic.arguments)


def test_points_of_the_cell_are_those_of_the_check(topic, exercise):
    (points,) = [call[1] for call in topic.calls if call[2] == exercise]
    assert topic.exercises[exercise].points == points


def test_the_solution_earns_all_points(topic, quick):
    report = topic.exercises[quick](*topic.answers(quick))
    assert report.score == report.max_score, report.to_markdown()
    assert report.findings == ()


@pytest.mark.slow
def test_the_solution_earns_all_points_in_another_course(topic, exercise, monkeypatch):
    monkeypatch.setenv("FOVEA_SECRET", "another course")
    report = topic.exercises[exercise](*topic.answers(exercise))
    assert report.findings == (), report.to_markdown()


def test_the_untouched_stub_earns_nothing_and_is_told_so(topic, exercise):
    report = topic.exercises[exercise](*topic.answers(exercise, topic.released))
    assert report.score == 0
    assert {finding.message for finding in report.findings} == {"not answered yet"}


# --- wrong answers ---


def test_every_exercise_knows_its_mistakes(topic, listed):
    assert len(topic.exercises[listed].mistakes) >= topic.min_mistakes


def test_every_mistake_loses_points(topic, listed):
    check = topic.scorer(listed)
    mistakes = topic.exercises[listed].mistakes
    passed = [m.name for m in mistakes if check(*m.functions).score == check.points]
    assert passed == []


@pytest.mark.slow
def test_a_mistake_is_called_by_its_name(topic, mistaken):
    exercise, mistake = mistaken
    report = topic.namer(exercise)(*mistake.functions)
    named = {name for finding in report.findings for name in finding.mistakes}
    assert named == {mistake.name}, report.to_markdown()
    assert mistake.message in report.to_markdown()


@pytest.mark.slow
def test_scores_of_mistakes_do_not_depend_on_the_course(topic, unshared, monkeypatch):
    check = untimed(topic.scorer(unshared))
    for mistake in topic.exercises[unshared].mistakes:
        scores = set()
        for seed in range(topic.num_seeds):
            monkeypatch.setenv("FOVEA_SECRET", f"course {seed}")
            scores.add(check(*mistake.functions).score)
        assert len(scores) == 1, mistake.name


def untimed(check: Exercise) -> Exercise:
    """The check without the properties that measure time: those have a hint."""
    properties = tuple(prop for prop in check.properties if not prop.hint)
    return replace(check, properties=properties)


def test_wrong_answers_that_nobody_had_in_mind_lose_points(topic, wrong):
    exercise, functions = wrong
    report = topic.scorer(exercise)(*functions)
    assert report.score < report.max_score


TRIVIAL = {
    "first input": lambda *a: a[0],
    "last input": lambda *a: a[-1],
    "inputs": lambda *a: a,
    "None": lambda *a: None,
    "zero": lambda *a: 0.0,
    "one": lambda *a: 1.0,
    "pair of first input": lambda *a: (a[0], a[0]),
    "zeros": lambda *a: np.zeros_like(a[0]),
    "ones": lambda *a: np.ones_like(a[0]),
    "pair of zeros": lambda *a: (np.zeros_like(a[0]), a),
    "loss 0, zeros": lambda *a: (0.0, np.zeros_like(a[0])),
    "nan": lambda *a: (np.nan * np.ones(3), a),
    "empty dict": lambda *a: {},
    "empty list": lambda *a: [],
    "text": lambda *a: "42",
    "functions": lambda *a: len,
}


def test_a_trivial_answer_earns_next_to_nothing(topic, kind):
    answer = (TRIVIAL | topic.trivial)[kind]
    for exercise in (e for e in topic.exercises if e not in topic.trains):
        names = topic.arguments[exercise]
        # the function asked for is trivial; what it builds on may be right
        *before, _ = topic.compact(exercise) if exercise in _listed(topic) else [None]
        answers = [topic.stand_in(name, answer) for name in names]
        for functions in (answers, [*before, answers[-1]])[: len(names)]:
            report = untimed(topic.scorer(exercise))(*functions)
            most = topic.allowed.get((exercise, kind), 0.125)
            assert report.score <= most * report.max_score, report.to_markdown()


# --- right answers that look unlike ours ---


def test_every_exercise_has_three_unusual_answers(topic, listed):
    unusual = topic.part("tests.grader.checks.{}_unusual").UNUSUAL
    assert len(unusual.get(listed, ())) >= 3


def test_an_unusual_right_answer_earns_all_points(topic, unusual):
    exercise, functions = unusual
    report = topic.scorer(exercise)(*functions)
    assert report.findings == (), report.to_markdown()


@pytest.mark.slow
def test_it_earns_them_in_other_courses(topic, unusual, monkeypatch):
    exercise, functions = unusual
    for seed in range(topic.num_seeds):
        monkeypatch.setenv("FOVEA_SECRET", f"course {seed}")
        report = topic.scorer(exercise)(*functions)
        assert report.findings == (), report.to_markdown()


def test_right_answers_that_nobody_had_in_mind_earn_all_points(topic, right):
    exercise, functions = right
    report = topic.scorer(exercise)(*functions)
    assert report.findings == (), report.to_markdown()


def test_the_answers_that_mistakes_are_edits_of_earn_all_points(topic, listed):
    assert topic.scorer(listed)(*topic.compact(listed)).findings == ()


def test_unusual_answers_for_sampling_earn_all_points(topic, group):
    for functions in topic.part("grader.checks.{}.unusual").UNUSUAL[group]:
        changed = {function.__name__: function for function in functions}
        for exercise, arguments in topic.arguments.items():
            if changed.keys() & set(arguments):
                answers = topic.answers(exercise, topic.solved | changed)
                report = topic.scorer(exercise)(*answers)
                assert report.findings == (), report.to_markdown()


def test_unusual_answers_for_sampling_stand_alone_in_a_notebook(topic, group):
    usual = {"np", "torch", "nn", "F", "__name__", *dir(builtins)}
    for functions in topic.part("grader.checks.{}.unusual").UNUSUAL[group]:
        code = compile("\n".join(map(source_of, functions)), group, "exec")
        names = {function.__name__ for function in functions}
        assert global_names(code) <= usual | names
        assert names <= defined(code)


# --- seeds, messages, and the functions that run beside the student's ---


def noisy(value: Any) -> Any:
    """What came back, a little wrong everywhere."""
    if isinstance(value, Iterator):
        value = list(value)
    if isinstance(value, tuple | list):
        return type(value)(map(noisy, value))
    if isinstance(value, dict):
        return {key: noisy(entry) for key, entry in value.items()}
    return value if isinstance(value, str) else value * 1.0625


def test_messages_leak_neither_inputs_nor_expected_numbers(topic, spoken):
    *before, last = topic.answers(spoken)

    def almost(*arguments, **options):
        return noisy(last(*arguments, **options))

    report = untimed(topic.scorer(spoken))(*before, almost)
    assert report.findings
    for finding in report.findings:
        # whole numbers may stand for a shape, but not for a result that is asked for
        digits = r"\d" if spoken in topic.whole else r"\d\.\d"
        assert not re.search(digits, finding.message), finding.message


def test_what_runs_beside_students_is_self_contained(run):
    source = inspect.getsource(run)
    assert not any(isinstance(n, ast.Assert) for n in ast.walk(ast.parse(source)))
    grader_imports = re.findall(r"(?:from|import) (grader\S*)", source)
    assert set(grader_imports) <= {"grader.alongside"}
    namespace: dict = {}
    exec(source, namespace)
    needed = global_names(namespace[run.__name__].__code__)
    assert needed <= {"__name__", *dir(builtins)}


def global_names(code: Any) -> set[str]:
    """The global names that compiled code reads, in its inner functions too."""
    loads = (i for i in dis.get_instructions(code) if i.opname == "LOAD_GLOBAL")
    inner = (c for c in code.co_consts if inspect.iscode(c))
    return {i.argval for i in loads}.union(*map(global_names, inner))


def defined(code: Any) -> set[str]:
    """The names that a compiled module defines."""
    stores = (i for i in dis.get_instructions(code) if i.opname == "STORE_NAME")
    return {i.argval for i in stores}


def test_checks_work_when_sent_as_source_alone(topic, listed):
    namespace: dict = {}
    run = topic.exercises[listed].run
    exec(inspect.getsource(run), namespace)
    check = replace(topic.scorer(listed), run=namespace[run.__name__])
    assert check(*topic.answers(listed)).findings == ()
