"""The hidden checks of topic 02 refuse what is wrong, by name, and take the rest."""

import builtins
import copy
import dis
import functools
import inspect
import pickle
import re
from dataclasses import fields, replace

import numpy as np
import pytest

from grader.checking import Exercise
from grader.checks import optimizers
from grader.checks.optimizers import answers as right
from grader.checks.optimizers import oracles, rule_cases, runs
from grader.checks.optimizers.unusual import UNUSUAL as SAMPLED
from grader.mistakes import source_of
from tests.grader.checks import optimizers_afterthoughts as afterthoughts
from tests.grader.checks.cells import OPTIMIZERS as cells
from tests.grader.checks.optimizers_unusual import UNUSUAL

CALLS = cells.graded_calls()
ARGUMENTS = {exercise: arguments for _, _, exercise, arguments in CALLS}
EXERCISES = {exercise: getattr(optimizers, exercise) for exercise in ARGUMENTS}
OTHERS = sorted(set(EXERCISES) - {"digits"})
RULES = sorted(n for n, e in EXERCISES.items() if e.run is runs.run_rule)
MISTAKES = [
    pytest.param(exercise, mistake, id=f"{exercise}-{mistake.name.replace(' ', '_')}")
    for exercise, check in EXERCISES.items()
    for mistake in check.mistakes
]


@pytest.fixture(autouse=True)
def _own_work(monkeypatch):
    monkeypatch.delenv("FOVEA_STUDENT", raising=False)
    monkeypatch.setenv("FOVEA_SECRET", "a course")


@pytest.fixture(scope="module")
def solved():
    return cells.namespace()


@functools.cache
def scorer(exercise):
    """The exercise without recognising mistakes, and with an oracle that remembers.

    Both take most of the time, and change no score.
    """
    check, known = EXERCISES[exercise], {}

    def oracle(**case):
        key = pickle.dumps(case)
        if key not in known:
            known[key] = check.oracle(**case)
        return copy.deepcopy(known[key])

    return replace(check, oracle=oracle, mistakes=())


@functools.cache
def namer(exercise):
    """The exercise with recognising mistakes, each of which is run once for all."""
    check, known = EXERCISES[exercise], {}

    class Remembering(type(check)):
        def _observe(self, functions, case):
            key = functions, pickle.dumps(case)
            if key not in known:
                known[key] = super()._observe(functions, case)
            return known[key]

    parts = {field.name: getattr(check, field.name) for field in fields(check)}
    return Remembering(**parts | {"oracle": scorer(exercise).oracle})


def answers_to(exercise, names):
    return [names[argument] for argument in ARGUMENTS[exercise]]


def _cases(answers):
    return [
        pytest.param(exercise, functions, id=f"{exercise}-{name.replace(' ', '_')}")
        for (exercise, name), functions in answers.items()
    ]


# --- the cells and their points ---


def test_every_exercise_stands_in_one_graded_cell():
    checks = {n for n, c in vars(optimizers).items() if isinstance(c, Exercise)}
    assert sorted(ARGUMENTS) == sorted(checks)
    assert len(CALLS) == len(ARGUMENTS)


@pytest.mark.parametrize("exercise", ARGUMENTS)
def test_the_solution_earns_the_points_of_the_cell(exercise, solved):
    (points,) = [c[1] for c in CALLS if c[2] == exercise]
    report = EXERCISES[exercise](*answers_to(exercise, solved))
    assert report.score == report.max_score == points, report.to_markdown()
    assert report.findings == ()


@pytest.mark.parametrize("exercise", ARGUMENTS)
def test_the_untouched_stub_earns_nothing_and_is_told_so(exercise):
    report = EXERCISES[exercise](*answers_to(exercise, cells.namespace(released=True)))
    assert report.score == 0
    assert {finding.message for finding in report.findings} == {"not answered yet"}


# --- wrong answers ---


@pytest.mark.parametrize("exercise", OTHERS)
def test_every_mistake_loses_points(exercise):
    check = scorer(exercise)
    passed = [
        mistake.name
        for mistake in EXERCISES[exercise].mistakes
        if check(*mistake.functions).score == check.points
    ]
    assert passed == []


@pytest.mark.slow
@pytest.mark.parametrize(("exercise", "mistake"), MISTAKES)
def test_a_mistake_is_called_by_its_name(exercise, mistake):
    report = namer(exercise)(*mistake.functions)
    named = {name for finding in report.findings for name in finding.mistakes}
    assert named == {mistake.name}, report.to_markdown()
    assert mistake.message in report.to_markdown()


def test_every_exercise_knows_six_mistakes():
    few = {name for name, check in EXERCISES.items() if len(check.mistakes) < 6}
    # digits are judged by their number
    assert few == {"digits"}


def test_two_mistakes_at_once_are_both_named():
    def minibatches(X, y, batch_size, rng):
        order = np.random.default_rng(0).permutation(len(X))
        for i in range(0, len(X) - batch_size + 1, batch_size):
            yield X[order[i : i + batch_size]], y[order[i : i + batch_size]]

    report = optimizers.minibatches(minibatches)
    named = {name for finding in report.findings for name in finding.mistakes}
    assert named == {"last batch dropped", "own seed"}, report.to_markdown()


def test_pytorchs_notation_loses_what_depends_on_it_alone():
    (sums,) = [m for m in optimizers.sgd_momentum.mistakes if "sum" in m.name]
    report = optimizers.sgd_momentum(*sums.functions)
    lost = {finding.property for finding in report.findings}
    assert len(lost) == 2
    assert report.score == 2.75


@pytest.mark.parametrize(("exercise", "functions"), _cases(afterthoughts.WRONG))
def test_wrong_answers_that_nobody_had_in_mind_lose_points(exercise, functions):
    report = scorer(exercise)(*functions)
    assert report.score < report.max_score


# --- right answers that look unlike ours ---


@pytest.mark.parametrize(
    ("exercise", "functions"),
    [
        pytest.param(exercise, functions, id=f"{exercise}-{name}")
        for exercise, answers in UNUSUAL.items()
        for name, functions in answers.items()
    ],
)
def test_an_unusual_right_answer_earns_all_points(exercise, functions):
    report = EXERCISES[exercise](*functions)
    assert report.findings == (), report.to_markdown()


@pytest.mark.parametrize(("exercise", "functions"), _cases(afterthoughts.RIGHT))
def test_right_answers_that_nobody_had_in_mind_earn_all_points(exercise, functions):
    report = EXERCISES[exercise](*functions)
    assert report.findings == (), report.to_markdown()


@pytest.mark.parametrize("name", SAMPLED)
def test_unusual_answers_for_sampling_earn_all_points(name, solved):
    for (function,) in SAMPLED[name]:
        names = {**solved, name: function}
        for exercise, arguments in ARGUMENTS.items():
            if name in arguments:
                report = EXERCISES[exercise](*answers_to(exercise, names))
                assert report.findings == (), report.to_markdown()


def test_unusual_answers_for_sampling_stand_alone_in_a_notebook():
    for name, answers in SAMPLED.items():
        for (answer,) in answers:
            code = compile(source_of(answer), name, "exec")
            assert _global_names(code) <= {"np", "__name__", *dir(builtins)}
            namespace = {"np": np}
            exec(code, namespace)
            assert name in namespace


def test_every_exercise_has_three_unusual_answers():
    assert {name for name in EXERCISES if len(UNUSUAL.get(name, ())) < 3} == {"digits"}


@pytest.mark.parametrize("exercise", OTHERS)
def test_the_answers_that_mistakes_are_edits_of_earn_all_points(exercise):
    compact = [getattr(right, argument) for argument in ARGUMENTS[exercise]]
    assert scorer(exercise)(*compact).findings == ()


# --- the oracles ---


def _by_hand(name, w, dws, config):
    """Each rule as sums over all gradients so far: no state, no recursion."""
    lr = config["learning_rate"]
    G = np.stack(dws)

    def averaged(values, beta, t):
        weights = (1 - beta) * beta ** np.arange(t - 1, -1, -1.0)
        return np.tensordot(weights, values[:t], axes=1)

    for t in range(1, len(G) + 1):
        if name in ("sgd_momentum", "nesterov"):
            mu = config["momentum"]
            v = -lr * averaged(G, mu, t) / (1 - mu)
            w = w + (v if name == "sgd_momentum" else mu * v - lr * G[t - 1])
        elif name == "adagrad":
            w = w - lr * G[t - 1] / (np.sqrt((G[:t] ** 2).sum(axis=0)) + 1e-8)
        elif name == "rmsprop":
            cache = averaged(G**2, config["decay_rate"], t)
            w = w - lr * G[t - 1] / (np.sqrt(cache) + 1e-8)
        elif name.startswith("adam"):
            b1, b2 = config["beta1"], config["beta2"]
            m, v = averaged(G, b1, t), averaged(G**2, b2, t)
            if name == "adam":
                m, v = m / (1 - b1**t), v / (1 - b2**t)
            w = w - lr * m / (np.sqrt(v) + 1e-8)
        else:
            w = w - lr * G[t - 1]
        yield w


@pytest.mark.parametrize("name", RULES)
def test_oracles_agree_with_sums_over_all_gradients(name):
    rng = np.random.default_rng(0)
    config = {"learning_rate": 0.1, "momentum": 0.7, "decay_rate": 0.8}
    config |= {"beta1": 0.6, "beta2": 0.9}
    dws = rule_cases.gradients(rng, 12, (2, 3))
    param = {"w": rng.normal(size=(2, 3)), "dws": dws, "config": config}
    (path,) = oracles.rule(name)([param], None)["next_w"]
    closed_form = list(_by_hand(name, param["w"], dws, config))
    np.testing.assert_allclose(path, closed_form, rtol=1e-12)


def test_the_oracle_follows_a_changing_rate_in_the_notation_of_the_course():
    rng = np.random.default_rng(0)
    (case,) = rule_cases.momentum.changing_rate(rng)
    (param,), rates = case["params"], case["rates"]
    v, w = 0.0, param["w"]
    for dw, rate in zip(param["dws"], rates, strict=True):
        v = param["config"]["momentum"] * v - rate * dw
        w = w + v
    found = oracles.rule("sgd_momentum")(**case)
    np.testing.assert_allclose(found["next_w"][0][-1], w, rtol=1e-12)
    np.testing.assert_allclose(found["state"][0]["velocity"], v, rtol=1e-12)


# --- trivial answers ---


class Schedule:
    """Stands for a class whose objects answer alike."""

    def __init__(self, answer):
        self.step = lambda value: answer(value)


TRIVIAL = {
    "first input": lambda *a: a[0],
    "last input": lambda *a: a[-1],
    "inputs": lambda *a: a,
    "None": lambda *a: None,
    "zero": lambda *a: 0.0,
    "one": lambda *a: 1.0,
    "w and an empty config": lambda *a: (a[0], {}),
    "w and its config": lambda *a: (a[0], a[2] if len(a) > 2 else {}),
    "dw and an empty config": lambda *a: (a[1], {}),
    "zeros": lambda *a: np.zeros_like(a[0]),
    "nan": lambda *a: (np.nan, {}),
    "empty list": lambda *a: [],
    "one pair": lambda *a: [(a[0], a[1])],
    "two empty lists": lambda *a: ([], []),
    "text": lambda *a: "42",
    "functions": lambda *a: len,
}


@pytest.mark.parametrize("kind", TRIVIAL)
@pytest.mark.parametrize("exercise", OTHERS)
def test_a_trivial_answer_earns_next_to_nothing(exercise, kind):
    answer = TRIVIAL[kind]

    def make(*arguments, **named):
        if exercise == "reduce_on_plateau":
            return Schedule(answer)
        return answer(*arguments)

    report = scorer(exercise)(make)
    allowed = {("minibatches", "one pair"): 0.25}.get((exercise, kind), 0.1)
    assert report.score <= allowed * report.max_score, report.to_markdown()


# --- digits ---


def nearest(X_train, y_train, X_new, seed):
    """A cheap classifier, for tests: the label of the nearest training image."""
    A, B = X_train.reshape(len(X_train), -1), X_new.reshape(len(X_new), -1)
    squares = (A**2).sum(1) - 2 * B @ A.T
    return y_train[squares.argmin(axis=1)]


@pytest.mark.parametrize(
    ("flipped", "points"), [(0.0, 6), (0.05, 2), (0.5, 0)], ids=["98%", "93%", "50%"]
)
def test_points_for_digits_follow_the_share_of_right_labels(flipped, points):
    def classify(X_train, y_train, X_new, seed):
        labels = nearest(X_train, y_train, X_new, seed)
        wrong = np.arange(len(labels)) < flipped * len(labels)
        return np.where(wrong, (labels + 1) % 10, labels)

    assert optimizers.digits(classify).score == points


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_the_digits_solution_passes_for_every_seed(seed, solved, monkeypatch):
    monkeypatch.setenv("FOVEA_SECRET", f"course {seed}")
    assert optimizers.digits(solved["classify_digits"]).score == 6


# --- seeds, messages, and the functions that run beside the student's ---


@pytest.mark.parametrize("seed", range(2))
def test_verdicts_do_not_depend_on_the_seed(seed, solved, monkeypatch):
    monkeypatch.setenv("FOVEA_SECRET", f"course {seed}")
    for exercise in OTHERS:
        report = EXERCISES[exercise](*answers_to(exercise, solved))
        assert report.findings == (), report.to_markdown()


@pytest.mark.slow
@pytest.mark.parametrize("exercise", OTHERS)
def test_scores_of_mistakes_do_not_depend_on_the_seed(exercise, monkeypatch):
    check = scorer(exercise)
    for mistake in EXERCISES[exercise].mistakes:
        scores = set()
        for seed in range(4):
            monkeypatch.setenv("FOVEA_SECRET", f"course {seed}")
            scores.add(check(*mistake.functions).score)
        assert len(scores) == 1, mistake.name


def noisy(value):
    """What came back, a little wrong everywhere."""
    if isinstance(value, tuple | list):
        return type(value)(map(noisy, value))
    if isinstance(value, dict):
        return {key: noisy(entry) for key, entry in value.items()}
    if isinstance(value, np.ndarray) and value.dtype.kind in "iu":
        return value[::-1]
    return value if isinstance(value, str) else value * 1.0625


@pytest.mark.parametrize("exercise", OTHERS)
def test_messages_leak_neither_inputs_nor_expected_numbers(exercise, solved):
    (answer,) = answers_to(exercise, solved)

    class Almost:
        def __init__(self, *arguments, **named):
            self.right = answer(*arguments, **named)

        def step(self, value):
            return noisy(self.right.step(value))

    def almost(*arguments, **named):
        result = answer(*arguments, **named)
        return noisy(list(result) if exercise == "minibatches" else result)

    made = Almost if exercise == "reduce_on_plateau" else almost
    # what is said where no mistake is recognised
    report = scorer(exercise)(made)
    assert report.findings
    for finding in report.findings:
        # whole numbers may stand for a shape
        assert not re.search(r"\d\.\d", finding.message), finding.message


RUNS = [f for n, f in vars(runs).items() if n.startswith("run_")]


@pytest.mark.parametrize("function", RUNS, ids=lambda f: f.__name__)
def test_what_runs_beside_students_is_self_contained(function):
    source = inspect.getsource(function)
    assert "assert " not in source
    grader_imports = re.findall(r"(?:from|import) (grader\S*)", source)
    assert set(grader_imports) <= {"grader.alongside"}
    namespace: dict = {}
    exec(source, namespace)
    needed = _global_names(namespace[function.__name__].__code__)
    assert needed <= {"__name__", *dir(builtins)}


def _global_names(code):
    loads = (i for i in dis.get_instructions(code) if i.opname == "LOAD_GLOBAL")
    inner = (c for c in code.co_consts if inspect.iscode(c))
    return {i.argval for i in loads}.union(*map(_global_names, inner))


@pytest.mark.parametrize("exercise", OTHERS)
def test_checks_work_when_sent_as_source_alone(exercise, solved):
    namespace: dict = {}
    run = EXERCISES[exercise].run
    exec(inspect.getsource(run), namespace)
    check = replace(EXERCISES[exercise], run=namespace[run.__name__])
    assert check(*answers_to(exercise, solved)).findings == ()
