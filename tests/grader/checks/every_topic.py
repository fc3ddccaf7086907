"""The tests that the hidden checks of every topic pass.

A topic's test module takes them all in, says what it is about, and adds its own:

    from tests.grader.checks.every_topic import *  # noqa: F403
    from tests.grader.checks.topic import Topic

    TOPIC = Topic(Cells("04_cnn", "import numpy"))

What they try comes from modules named after the topic: ``grader.checks.cnn`` with its
``answers``, ``runs`` and ``unusual``; beside this file ``cnn_unusual``, right answers
as ``UNUSUAL[exercise][name]``, and ``cnn_afterthoughts``, answers written after the
checks were, as ``RIGHT`` and ``WRONG[exercise, name]``; each is a tuple of functions,
one for each argument of the graded call.
"""

import ast
import builtins
import dis
import inspect
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from grader.checking import Exercise
from grader.mistakes import source_of
from grader.student import Server
from grader.verdicts import Verdict, read_verdict
from tests.grader.checks.topic import Topic
from tests.grader.running import execute, graded, solution


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
def own_work(monkeypatch):
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


# --- in two processes, as when a class is graded ---


@pytest.fixture(scope="module")
def server():
    server = Server()
    yield server
    server.close()


@pytest.fixture
def a_class(monkeypatch):
    monkeypatch.setenv("FOVEA_SECRET", "between us")
    monkeypatch.setenv("FOVEA_STUDENT", "ada")


def judged(topic: Topic, server: Server, exercise: str, answers: list) -> list[Verdict]:
    """The verdicts on several answers, each a tuple of functions, on top of all right
    ones, so that those of one exercise can call those of others."""
    cells = []
    for functions in answers:
        sources = [*topic.cells.sources(), *map(source_of, functions)]
        cells.append(solution("\n".join(sources)))
        call = f"{topic.cells.topic}.{exercise}({', '.join(topic.arguments[exercise])})"
        load = f"from grader.checks import {topic.cells.topic}\n"
        cells.append(graded(load + call, points=topic.exercises[exercise].points))
    done = execute(server, *cells, call_s=60, cell_s=120, notebook_s=600)
    return [read_verdict(cell) for cell in done.cells[1::2]]


@pytest.mark.slow
@pytest.mark.sandbox
@pytest.mark.usefixtures("a_class")
def test_verdicts_in_a_sandbox_are_those_of_one_process(topic, server, unshared):
    settled = topic.exercises[unshared].mistakes
    settled = [m for m in settled if m.name not in topic.unsettled]
    # four of them, and the solution: in one process, all are judged
    mistakes = settled[:: max(1, len(settled) // 4)]
    answers = [(), *(mistake.functions for mistake in mistakes)]
    solved, *verdicts = judged(topic, server, unshared, answers)
    assert solved.score == solved.max_score, solved.message
    for mistake, verdict in zip(mistakes, verdicts, strict=True):
        report = topic.namer(unshared)(*mistake.functions)
        named = dict.fromkeys(n for f in report.findings for n in f.mistakes)
        expected = report.score, ", ".join(named)
        assert (verdict.score, verdict.mistake) == expected, mistake.name


@pytest.mark.slow
@pytest.mark.sandbox
@pytest.mark.usefixtures("a_class")
def test_unusual_answers_for_sampling_earn_all_points_in_a_sandbox(
    topic, server, group
):
    functions = topic.part("grader.checks.{}.unusual").UNUSUAL[group][0]
    names = {function.__name__ for function in functions}
    for exercise, arguments in topic.arguments.items():
        if names & set(arguments):
            (verdict,) = judged(topic, server, exercise, [functions])
            assert verdict.score == verdict.max_score, verdict.message
