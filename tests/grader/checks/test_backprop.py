"""The hidden checks of topic 01 refuse what is wrong, by name, and take the rest."""

import builtins
import copy
import dis
import inspect
import re
from dataclasses import replace

import numpy as np
import pytest

from fovea.personal import personal_rng
from grader.checking import Exercise
from grader.checks import backprop
from grader.checks.backprop import answers as right
from grader.checks.backprop import net_mistakes, oracles, runs
from grader.checks.backprop.unusual import UNUSUAL as SAMPLED
from grader.checks.digits import digits_data
from grader.mistakes import source_of
from tests.grader.checks import backprop_afterthoughts as afterthoughts
from tests.grader.checks.backprop_unusual import UNUSUAL
from tests.grader.checks.cells import BACKPROP as cells

CALLS = cells.graded_calls()
ARGUMENTS = {exercise: arguments for _, _, exercise, arguments in CALLS}
EXERCISES = {exercise: getattr(backprop, exercise) for exercise in ARGUMENTS}
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


def answers_to(exercise, names):
    return [names[argument] for argument in ARGUMENTS[exercise]]


def compact(exercise):
    """The compact right answers that the mistakes are edits of."""
    return [getattr(right, argument) for argument in ARGUMENTS[exercise]]


# --- the cells and their points ---


def test_every_exercise_stands_in_one_graded_cell():
    checks = {n for n, c in vars(backprop).items() if isinstance(c, Exercise)}
    assert sorted(ARGUMENTS) == sorted(n for n in checks if not n.startswith("_"))
    assert len(CALLS) == len(ARGUMENTS)


@pytest.mark.parametrize(
    ("points", "exercise"), [(c[1], c[2]) for c in CALLS], ids=[c[0] for c in CALLS]
)
def test_points_of_the_cell_are_those_of_the_check(points, exercise):
    assert EXERCISES[exercise].points == points


@pytest.mark.parametrize("exercise", ARGUMENTS)
def test_the_solution_earns_all_points(exercise, solved):
    report = EXERCISES[exercise](*answers_to(exercise, solved))
    assert report.score == report.max_score, report.to_markdown()
    assert report.findings == ()


@pytest.mark.parametrize("exercise", ARGUMENTS)
def test_the_untouched_stub_earns_nothing_and_is_told_so(exercise):
    report = EXERCISES[exercise](*answers_to(exercise, cells.namespace(released=True)))
    assert report.score == 0
    assert {finding.message for finding in report.findings} == {"not answered yet"}


# --- mistakes ---


@pytest.mark.parametrize(("exercise", "mistake"), MISTAKES)
def test_a_mistake_is_refused_and_called_by_its_name(exercise, mistake):
    report = EXERCISES[exercise](*mistake.functions)
    assert report.score < report.max_score
    named = {name for finding in report.findings for name in finding.mistakes}
    assert named == {mistake.name}, report.to_markdown()
    assert mistake.message in report.to_markdown()


def test_every_layer_and_loss_knows_five_mistakes():
    few = {name for name, check in EXERCISES.items() if len(check.mistakes) < 5}
    # the worksheet's are made for each student; digits are judged by their number
    assert few == {"worksheet", "digits"}


def test_two_mistakes_at_once_are_both_named():
    def backward(dout, cache):
        dx, dw, _ = right.affine_backward(dout, cache)
        return dx, dw / len(dout), dout.mean(axis=0)

    report = backprop.affine_backward(right.affine_forward, backward)
    named = {name for finding in report.findings for name in finding.mistakes}
    assert named == {"dw averaged", "db averaged"}
    # dx is right, and counts
    assert report.score == 1.5


# wrong starts of nets are random, so they are told by their statistics
BAD_STARTS = {
    "another scale": lambda net, a: net.params.update(W1=2 * net.params["W1"]),
    "not centred": lambda net, a: net.params.update(W2=0.5 + net.params["W2"]),
    "uniform": lambda net, a: net.params.update(
        W1=np.random.default_rng(0).uniform(-1, 1, net.params["W1"].shape)
        * a.get("weight_scale", 1e-3)
        * np.sqrt(3)
    ),
    "zeros": lambda net, a: net.params.update(W1=0 * net.params["W1"]),
    "biases at 1": lambda net, a: net.params.update(b1=1 + net.params["b1"]),
    "transposed": lambda net, a: net.params.update(W2=net.params["W2"].T.copy()),
    "a parameter too many": lambda net, a: net.params.update(W3=np.zeros(1)),
    "float32": lambda net, a: net.params.update(W1=np.float32(net.params["W1"])),
    "lists": lambda net, a: net.params.update(b1=list(net.params["b1"])),
}


@pytest.mark.parametrize("wrong", BAD_STARTS)
def test_a_wrong_start_of_a_net_costs_its_property_alone(wrong):
    class Net(right.TwoLayerNet):
        def __init__(self, *sizes, **arguments):
            super().__init__(*sizes, **arguments)
            BAD_STARTS[wrong](self, arguments)

    properties = backprop.two_layer_net.properties[:1]
    report = replace(backprop.two_layer_net, properties=properties)(Net)
    assert report.score == 0
    assert report.findings[0].message


@pytest.mark.parametrize(
    ("seed_of", "message"),
    [(lambda seed: None, "the same seed"), (lambda seed: seed // 10**6, "another")],
    ids=["no seed", "one seed for all"],
)
def test_mario_net_depends_on_its_seed(seed_of, message):
    class Net(right.MarioNet):
        def __init__(self, hidden_dim, seed):
            super().__init__(hidden_dim, seed_of(seed))

    report = backprop.mario_net(Net)
    assert [f.property for f in report.findings] == ["starts as promised"]
    assert message in report.findings[0].message


def test_a_net_that_keeps_the_parameters_of_its_start_is_refused():
    class Net(right.TwoLayerNet):
        def __init__(self, *sizes, **arguments):
            super().__init__(*sizes, **arguments)
            self.kept = copy.deepcopy(self.params)

        def loss(self, X, y=None):
            self.params, shown = self.kept, self.params
            result = super().loss(X, y)
            self.params = shown
            return result

    report = backprop.two_layer_net(Net)
    assert report.score <= 0.75


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


@pytest.mark.parametrize("group", SAMPLED)
def test_unusual_answers_for_sampling_earn_all_points(group, solved):
    for functions in SAMPLED[group]:
        names = {**solved, **{f.__name__: f for f in functions}}
        for exercise, arguments in ARGUMENTS.items():
            if {f.__name__ for f in functions} & set(arguments):
                report = EXERCISES[exercise](*answers_to(exercise, names))
                assert report.findings == (), report.to_markdown()


def test_unusual_answers_for_sampling_stand_alone_in_a_notebook():
    for answers in SAMPLED.values():
        for functions in answers:
            namespace = {"np": np}
            for function in functions:
                exec(source_of(function), namespace)
                assert _global_names(function.__code__) <= {"np", *dir(builtins)}
            assert {f.__name__ for f in functions} <= set(namespace)


def _cases(answers):
    return [
        pytest.param(exercise, functions, id=f"{exercise}-{name.replace(' ', '_')}")
        for (exercise, name), functions in answers.items()
    ]


@pytest.mark.filterwarnings("ignore:the matrix subclass")
@pytest.mark.parametrize(("exercise", "functions"), _cases(afterthoughts.RIGHT))
def test_right_answers_that_nobody_had_in_mind_earn_all_points(exercise, functions):
    report = EXERCISES[exercise](*functions)
    assert report.findings == (), report.to_markdown()


@pytest.mark.parametrize(("exercise", "functions"), _cases(afterthoughts.WRONG))
def test_wrong_answers_that_nobody_had_in_mind_lose_points(exercise, functions):
    report = EXERCISES[exercise](*functions)
    assert report.score < report.max_score


def test_every_exercise_has_three_unusual_answers():
    few = {name for name in EXERCISES if len(UNUSUAL.get(name, ())) < 3}
    assert few == {"worksheet", "digits"}


@pytest.mark.parametrize("exercise", sorted(set(EXERCISES) - {"worksheet", "digits"}))
def test_the_answers_that_mistakes_are_edits_of_earn_all_points(exercise):
    assert EXERCISES[exercise](*compact(exercise)).findings == ()


# --- trivial answers ---


def trivial(make):
    """Answers of one kind for every exercise: functions, and classes for nets."""

    class Net:
        def __init__(self, *sizes, **arguments):
            self.params = {}

        def loss(self, X, y=None):
            return make(X, y)

    class Value:
        def __init__(self, data, *more):
            self.data, self.grad = make(float(data)), 0.0

        def backward(self):
            self.grad = 1.0

        def same(self, *others):
            return self

        __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = same
        __truediv__ = __rtruediv__ = __pow__ = __neg__ = exp = tanh = relu = same

    return lambda name: {"Value": Value, "MarioNet": Net, "TwoLayerNet": Net}.get(
        name, lambda *arguments: make(*arguments)
    )


TRIVIAL = {
    "first input": lambda *a: a[0],
    "last input": lambda *a: a[-1],
    "inputs": lambda *a: a,
    "None": lambda *a: None,
    "zero": lambda *a: 0.0,
    "one": lambda *a: 1.0,
    "pair of first input": lambda *a: (a[0], a[0]),
    "pair of last input": lambda *a: (a[-1], a[-1]),
    "first input, None": lambda *a: (a[0], None),
    "zeros": lambda *a: np.zeros_like(a[0]),
    "pair of zeros": lambda *a: (np.zeros_like(a[0]), a),
    "loss 0, zeros": lambda *a: (0.0, np.zeros_like(a[0])),
    "loss 1, ones": lambda *a: (1.0, np.ones_like(a[0])),
    "loss 0, input": lambda *a: (0.0, a[0]),
    "ones": lambda *a: np.ones_like(a[0]),
    "nan": lambda *a: (np.nan * np.ones_like(a[0]), a),
    "empty dict": lambda *a: {},
    "empty list": lambda *a: [],
    "three of the first": lambda *a: (a[0], a[0], a[0]),
    "text": lambda *a: "42",
    "functions": lambda *a: len,
}


@pytest.mark.parametrize("kind", TRIVIAL)
@pytest.mark.parametrize("exercise", sorted(set(EXERCISES) - {"digits"}))
def test_a_trivial_answer_earns_nothing(exercise, kind):
    made = trivial(TRIVIAL[kind])
    names = ARGUMENTS[exercise]
    # the function asked for is trivial; what it builds on may be right
    before = [getattr(right, name) for name in names[:-1]]
    # to recognise mistakes takes time, and changes no score
    check = replace(EXERCISES[exercise], mistakes=())
    for functions in (map(made, names), [*before, made(names[-1])]):
        report = check(*functions)
        assert report.score <= 0.1 * report.max_score, report.to_markdown()


# --- the worksheet ---


def answers_of(name, **changes):
    filled_in = {"student": name, **oracles.worksheet_answers(name), **changes}
    return lambda: filled_in


def test_the_notebook_and_the_check_draw_the_same_numbers(solved):
    for name in ("ada", "me", "s001", "Grace Hopper"):
        drawn = solved["worksheet_numbers"](name)
        assert drawn == oracles.worksheet_numbers(name)


def test_worksheet_derivatives_agree_with_finite_differences():
    for name in map(str, range(200)):
        numbers = oracles.worksheet_numbers(name)
        answers = oracles.worksheet_answers(name)

        def loss(x, w, b, t):
            return (max(0, w * x + b) + x - t) ** 2

        assert loss(**numbers) == answers["L"]
        for leaf in "xwbt":
            up = loss(**{**numbers, leaf: numbers[leaf] + 1e-3})
            down = loss(**{**numbers, leaf: numbers[leaf] - 1e-3})
            assert (up - down) / 2e-3 == pytest.approx(answers[f"d{leaf}"])


@pytest.mark.parametrize("number", range(20))
def test_a_slip_on_the_worksheet_is_named_and_costs_only_itself(number):
    name = f"student {number}"
    for mistake in net_mistakes.worksheet(name, None):
        wrong = mistake.functions[0]()
        report = backprop.worksheet(lambda wrong=wrong: {"student": name, **wrong})
        assert 0 < 6 - report.score <= 4
        named = {m for finding in report.findings for m in finding.mistakes}
        assert mistake.name in named


def test_own_work_is_judged_by_the_name_in_it():
    assert backprop.worksheet(answers_of("ada")).score == 6
    assert backprop.worksheet(answers_of("grace")).score == 6


def test_graded_work_is_judged_by_the_name_of_the_class(monkeypatch):
    monkeypatch.setenv("FOVEA_STUDENT", "s042")
    assert backprop.worksheet(answers_of("s042")).score == 6
    # the name is no more than a claim
    right_numbers = oracles.worksheet_answers("s042")
    assert backprop.worksheet(lambda: {"student": "x", **right_numbers}).score == 6


def test_the_numbers_of_another_name_are_told_apart_from_wrong_ones(monkeypatch):
    monkeypatch.setenv("FOVEA_STUDENT", "s042")
    report = backprop.worksheet(answers_of("laptop"))
    assert {m for f in report.findings for m in f.mistakes} == {"another name"}
    assert 'student = "s042"' in report.to_markdown()
    report = backprop.worksheet(
        lambda: {"student": "s042", **dict.fromkeys("pqrseL", 0)}
    )
    assert "another name" not in {m for f in report.findings for m in f.mistakes}


@pytest.mark.parametrize(
    "filled_in",
    [None, [], {}, {"student": 3}, {"student": ""}, {3: 4, "p": "x", ("a",): None}],
    ids=repr,
)
def test_a_worksheet_of_another_form_scores_nothing(filled_in):
    assert backprop.worksheet(lambda: filled_in).score == 0


# --- digits ---


def nearest(X_train, y_train, X_new, seed):
    """A cheap classifier, for tests: the label of the nearest training image."""
    A, B = X_train.reshape(len(X_train), -1), X_new.reshape(len(X_new), -1)
    squares = (A**2).sum(1) - 2 * B @ A.T
    return y_train[squares.argmin(axis=1)]


@pytest.mark.parametrize(
    ("flipped", "points"), [(0.0, 6), (0.12, 2), (0.5, 0)], ids=["98%", "86%", "50%"]
)
def test_points_for_digits_follow_the_share_of_right_labels(flipped, points):
    def classify(X_train, y_train, X_new, seed):
        labels = nearest(X_train, y_train, X_new, seed)
        wrong = np.arange(len(labels)) < flipped * len(labels)
        return np.where(wrong, (labels + 1) % 10, labels)

    assert backprop.digits(classify).score == points


@pytest.mark.parametrize(
    "answer",
    [
        lambda *a: nearest(*a).astype(float),
        lambda *a: nearest(*a)[:, None],
        lambda *a: nearest(*a)[:-1],
        lambda *a: np.eye(10)[nearest(*a)],
        lambda *a: list(map(str, nearest(*a))),
        lambda *a: np.zeros(360, dtype=int),
        lambda *a: None,
    ],
    ids=["floats", "column", "too few", "one-hot", "strings", "zeros", "None"],
)
def test_what_is_not_a_label_for_each_digit_scores_nothing(answer):
    assert backprop.digits(answer).score == 0


def test_digits_known_by_heart_do_not_help():
    def by_heart(X_train, y_train, X_new, seed):
        *_, y_held_out = digits_data()
        return y_held_out

    assert backprop.digits(by_heart).score == 0


# --- seeds, messages, and the functions that run beside the student's ---


@pytest.mark.parametrize("seed", range(30))
def test_verdicts_do_not_depend_on_the_seed(seed, solved, monkeypatch):
    monkeypatch.setenv("FOVEA_SECRET", f"course {seed}")
    for exercise in sorted(set(EXERCISES) - {"digits"}):
        report = EXERCISES[exercise](*answers_to(exercise, solved))
        assert report.findings == (), report.to_markdown()


@pytest.mark.slow
@pytest.mark.parametrize("exercise", sorted(set(EXERCISES) - {"digits", "worksheet"}))
def test_scores_of_mistakes_do_not_depend_on_the_seed(exercise, monkeypatch):
    # without recognising: that is the slow part, and does not change a score
    check = replace(EXERCISES[exercise], mistakes=())
    for mistake in EXERCISES[exercise].mistakes:
        scores = set()
        for seed in range(30):
            monkeypatch.setenv("FOVEA_SECRET", f"course {seed}")
            scores.add(check(*mistake.functions).score)
        assert len(scores) == 1, mistake.name


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_the_digits_solution_passes_for_every_seed(seed, solved, monkeypatch):
    monkeypatch.setenv("FOVEA_SECRET", f"course {seed}")
    assert backprop.digits(solved["classify_digits"]).score == 6


def noisy(value):
    """What came back, a little wrong everywhere."""
    if isinstance(value, tuple | list):
        return type(value)(map(noisy, value))
    if isinstance(value, dict):
        return {key: noisy(entry) for key, entry in value.items()}
    return value if isinstance(value, str) else value * 1.0625


@pytest.mark.parametrize(
    "exercise", [e for e, names in ARGUMENTS.items() if names[-1][0].islower()]
)
def test_messages_leak_neither_inputs_nor_expected_numbers(exercise, solved):
    *before, last = answers_to(exercise, solved)

    def almost(*arguments):
        return noisy(last(*arguments))

    report = EXERCISES[exercise](*before, almost)
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
    assert needed <= set(dir(builtins))


def _global_names(code):
    loads = (i for i in dis.get_instructions(code) if i.opname == "LOAD_GLOBAL")
    inner = (c for c in code.co_consts if inspect.iscode(c))
    return {i.argval for i in loads}.union(*map(_global_names, inner))


@pytest.mark.parametrize("exercise", sorted(set(EXERCISES) - {"worksheet", "digits"}))
def test_checks_work_when_sent_as_source_alone(exercise, solved):
    namespace: dict = {}
    run = EXERCISES[exercise].run
    exec(inspect.getsource(run), namespace)
    check = replace(EXERCISES[exercise], run=namespace[run.__name__])
    assert check(*answers_to(exercise, solved)).findings == ()


def test_names_of_students_give_other_numbers():
    def first(name):
        return personal_rng(name, "backprop-worksheet").integers(10**9)

    assert first("ada") != first("grace")
