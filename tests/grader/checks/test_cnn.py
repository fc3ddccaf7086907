"""The hidden checks of topic 04 refuse what is wrong, by name, and take the rest."""

import builtins
import dis
import inspect
import re
from dataclasses import replace

import numpy as np
import pytest

from grader.checking import Exercise
from grader.checks import cnn
from grader.checks.cnn import answers as right
from grader.checks.cnn import oracles, runs
from grader.checks.cnn.unusual import UNUSUAL as SAMPLED
from grader.mistakes import source_of
from tests.grader.checks import cnn_afterthoughts as afterthoughts
from tests.grader.checks.cells import CNN as cells
from tests.grader.checks.cnn_unusual import UNUSUAL

CALLS = cells.graded_calls()
ARGUMENTS = {exercise: arguments for _, _, exercise, arguments in CALLS}
EXERCISES = {exercise: getattr(cnn, exercise) for exercise in ARGUMENTS}
CHEAP = sorted(set(EXERCISES) - {"digits"})
# to compare with twenty mistakes takes these a quarter of a second each time
LONG = ("conv_", "three_layer", "max_pool", "avg_pool")
SHARED = {f"conv_{w}_im2col": f"conv_{w}_naive" for w in ("forward", "backward")}


def names_of(exercise):
    return {mistake.name for mistake in EXERCISES[exercise].mistakes}


MISTAKES = [
    pytest.param(
        exercise,
        mistake,
        id=f"{exercise}-{mistake.name.replace(' ', '_')}",
        marks=[pytest.mark.slow] * exercise.startswith(LONG),
    )
    for exercise, check in EXERCISES.items()
    for mistake in check.mistakes
    # those that the loops can make as well are tried there
    if not (exercise in SHARED and mistake.name in names_of(SHARED[exercise]))
]


@pytest.fixture(autouse=True)
def _own_work(monkeypatch):
    monkeypatch.delenv("FOVEA_STUDENT", raising=False)
    monkeypatch.setenv("FOVEA_SECRET", "a course")


@pytest.fixture(scope="module")
def solved():
    return cells.namespace()


@pytest.fixture(scope="module")
def released():
    return cells.namespace(released=True)


def answers_to(exercise, names):
    return [names[argument] for argument in ARGUMENTS[exercise]]


def compact(exercise):
    """The compact right answers that the mistakes are edits of."""
    return [getattr(right, argument) for argument in ARGUMENTS[exercise]]


def unnamed(exercise):
    """A check that recognises no mistake: that is slow, and changes no score."""
    return replace(EXERCISES[exercise], mistakes=())


def untimed(exercise):
    """A check that takes no time, either."""
    check = unnamed(exercise)
    properties = [prop for prop in check.properties if not prop.hint]
    return replace(check, properties=tuple(properties))


# --- the cells and their points ---


def test_every_exercise_stands_in_one_graded_cell():
    checks = {n for n, c in vars(cnn).items() if isinstance(c, Exercise)}
    assert sorted(ARGUMENTS) == sorted(checks)
    assert len(CALLS) == len(ARGUMENTS)


@pytest.mark.parametrize(
    ("points", "exercise"), [(c[1], c[2]) for c in CALLS], ids=[c[0] for c in CALLS]
)
def test_points_of_the_cell_are_those_of_the_check(points, exercise):
    assert EXERCISES[exercise].points == points


@pytest.mark.parametrize("exercise", CHEAP)
def test_the_solution_earns_all_points(exercise, solved):
    report = EXERCISES[exercise](*answers_to(exercise, solved))
    assert report.score == report.max_score, report.to_markdown()
    assert report.findings == ()


@pytest.mark.parametrize("exercise", ARGUMENTS)
def test_the_untouched_stub_earns_nothing_and_is_told_so(exercise, released):
    report = EXERCISES[exercise](*answers_to(exercise, released))
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


def test_every_function_knows_six_mistakes():
    few = {name for name, check in EXERCISES.items() if len(check.mistakes) < 6}
    # digits are judged by their number
    assert few == {"digits"}


def test_two_mistakes_at_once_are_both_named():
    def backward(dout, cache):
        dx, dw, db = right.conv_backward_naive(dout, cache)
        return dx, dw / len(dout), db / dout[:, 0].size

    report = cnn.conv_backward_naive(right.conv_forward_naive, backward)
    named = {name for finding in report.findings for name in finding.mistakes}
    assert named == {"dw averaged", "db averaged"}
    # dx is right, and counts
    assert report.score == 3


def test_a_gradient_that_fails_at_padding_0_alone_keeps_its_other_points():
    def backward(dout, cache):
        dx, dw, db = right.conv_backward_naive(dout, cache)
        return (dx if cache[3] else dx[:, :, 0:-0, 0:-0]), dw, db

    report = cnn.conv_backward_naive(right.conv_forward_naive, backward)
    # strides, dilation, float32 and second calls are tried without padding, too
    assert report.score == 3
    assert {n for f in report.findings for n in f.mistakes} == {"pad:-pad"}


@pytest.mark.slow
@pytest.mark.parametrize("exercise", ["conv_forward_im2col", "conv_backward_im2col"])
def test_loops_over_places_lose_the_point_for_time_alone(exercise):
    ((forward, backward),) = SAMPLED["conv_naive"]
    functions = [forward]
    if exercise == "conv_backward_im2col":
        # forward is fast, as only one of them is timed
        functions = [
            lambda *a: (right.conv_forward_im2col(*a)[0], a),
            backward,
        ]
    (finding,) = unnamed(exercise)(*functions).findings
    assert finding.points == 1
    assert "Loops over places" in finding.message


# wrong starts of nets are random, so they are told by their statistics
BAD_STARTS = {
    "another scale": lambda net, a: net.params.update(W1=2 * net.params["W1"]),
    "not centred": lambda net, a: net.params.update(W2=0.5 + net.params["W2"]),
    "zeros": lambda net, a: net.params.update(W3=0 * net.params["W3"]),
    "biases at 1": lambda net, a: net.params.update(b2=1 + net.params["b2"]),
    "flat filters": lambda net, a: net.params.update(
        W1=net.params["W1"].reshape(len(net.params["W1"]), -1)
    ),
    "no pooling": lambda net, a: net.params.update(
        W2=np.tile(net.params["W2"], (4, 1))
    ),
    "a parameter too many": lambda net, a: net.params.update(W4=np.zeros(1)),
    "float16": lambda net, a: net.params.update(W1=np.float16(net.params["W1"])),
    "lists": lambda net, a: net.params.update(b1=list(net.params["b1"])),
}


@pytest.mark.parametrize("wrong", BAD_STARTS)
def test_a_wrong_start_of_a_net_costs_its_properties_alone(wrong):
    class Net(right.ThreeLayerConvNet):
        def __init__(self, *sizes, **arguments):
            super().__init__(*sizes, **arguments)
            BAD_STARTS[wrong](self, arguments)

    properties = cnn.three_layer_convnet.properties[:2]
    report = replace(unnamed("three_layer_convnet"), properties=properties)(Net)
    assert report.score <= 0.5
    assert report.findings[0].message


@pytest.mark.parametrize(
    "defaults",
    [{"dtype": np.float64}, {"num_filters": 16}, {"filter_size": 5}]
    + [{"hidden_dim": 64}, {"num_classes": 2}, {"weight_scale": 0.1}],
    ids=lambda d: next(iter(d)),
)
def test_other_defaults_of_a_net_are_refused(defaults):
    class Net(right.ThreeLayerConvNet):
        def __init__(self, **arguments):
            super().__init__(**{**defaults, **arguments})

    report = unnamed("three_layer_convnet")(Net)
    names = {f.property for f in report.findings}
    assert "has the promised sizes and dtype by default" in names


# --- right answers that look unlike ours ---


@pytest.mark.filterwarnings("ignore:Lazy modules")
@pytest.mark.parametrize(
    ("exercise", "functions"),
    [
        pytest.param(exercise, functions, id=f"{exercise}-{name.replace(' ', '_')}")
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
                own = {"np", function.__name__, *dir(builtins)}
                assert _global_names(function.__code__) <= own
            assert {f.__name__ for f in functions} <= set(namespace)


def _cases(answers):
    return [
        pytest.param(exercise, functions, id=f"{exercise}-{name.replace(' ', '_')}")
        for (exercise, name), functions in answers.items()
    ]


@pytest.mark.parametrize(("exercise", "functions"), _cases(afterthoughts.RIGHT))
def test_right_answers_that_nobody_had_in_mind_earn_all_points(exercise, functions):
    report = EXERCISES[exercise](*functions)
    assert report.findings == (), report.to_markdown()


@pytest.mark.parametrize(("exercise", "functions"), _cases(afterthoughts.WRONG))
def test_wrong_answers_that_nobody_had_in_mind_lose_points(exercise, functions):
    report = unnamed(exercise)(*functions)
    assert report.score < report.max_score


def test_every_exercise_has_three_unusual_answers():
    few = {name for name in EXERCISES if len(UNUSUAL.get(name, ())) < 3}
    assert few == {"digits"}


@pytest.mark.parametrize("exercise", CHEAP)
def test_the_answers_that_mistakes_are_edits_of_earn_all_points(exercise):
    assert EXERCISES[exercise](*compact(exercise)).findings == ()


# --- trivial answers ---


def trivial(make):
    """Answers of one kind for every exercise: functions, and a class for the net."""

    class Net:
        def __init__(self, *sizes, **arguments):
            self.params = {}

        def loss(self, X, y=None):
            return make(X, y)

    return lambda name: Net if name[0].isupper() else lambda *a, **k: make(*a)


TRIVIAL = {
    "first input": lambda *a: a[0],
    "None": lambda *a: None,
    "zero": lambda *a: 0,
    "pair of first input": lambda *a: (a[0], a[0]),
    "zeros": lambda *a: np.zeros_like(a[0]),
    "pair of zeros": lambda *a: (np.zeros_like(a[0]), a),
    "nan": lambda *a: (np.nan * np.ones(3), a),
    "empty dict": lambda *a: {},
}


@pytest.mark.parametrize("kind", TRIVIAL)
def test_a_trivial_answer_earns_nothing(kind):
    made = trivial(TRIVIAL[kind])
    for exercise in CHEAP:
        names = ARGUMENTS[exercise]
        # the function asked for is trivial; what it builds on may be right
        before = [getattr(right, name) for name in names[:-1]]
        for functions in ([*map(made, names)], [*before, made(names[-1])])[
            : len(names)
        ]:
            report = untimed(exercise)(*functions)
            assert report.score <= 0.125 * report.max_score, report.to_markdown()


# --- ties ---


def _tied(dx):
    x = np.zeros((1, 1, 2, 3))
    param = {"pool_height": 2, "pool_width": 2, "stride": 1}
    expected = oracles.max_pool_backward(x, param, np.array([[[[1.0, 2.0]]]]))["dx"]
    return oracles.compare_ties("dx", np.array(dx, float).reshape(1, 1, 2, 3), expected)


@pytest.mark.parametrize(
    "dx",
    [
        [1, 2, 0, 0, 0, 0],
        [0, 3, 0, 0, 0, 0],
        [0.25, 0.75, 0.5, 0.25, 0.75, 0.5],
        [1, 0, 0, 0, 0, 2],
        [0, 0, 2, 1, 0, 0],
    ],
)
def test_what_two_windows_can_have_sent_to_ties_is_right(dx):
    assert _tied(dx) == ""


@pytest.mark.parametrize(
    "dx",
    [
        [1, 3, 2, 1, 3, 2],
        [2, 0, 1, 0, 0, 0],
        [3, 0, 0, 0, 0, 0],
        [0, 0, 3, 0, 0, 0],
        [0, 2, 0, 0, 0, 0],
        [0, 4, -1, 0, 0, 0],
    ],
)
def test_what_they_cannot_have_sent_is_wrong(dx):
    assert _tied(dx)


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

    assert cnn.digits(classify).score == points


# --- seeds, messages, and the functions that run beside the student's ---


@pytest.mark.slow
@pytest.mark.parametrize("exercise", CHEAP)
def test_verdicts_do_not_depend_on_the_seed(exercise, solved, monkeypatch):
    for seed in range(6):
        monkeypatch.setenv("FOVEA_SECRET", f"course {seed}")
        report = EXERCISES[exercise](*answers_to(exercise, solved))
        assert report.findings == (), report.to_markdown()


# thirty were tried when the checks were written
SEEDS = 2


@pytest.mark.slow
@pytest.mark.parametrize("exercise", sorted(set(CHEAP) - set(SHARED)))
def test_scores_of_mistakes_do_not_depend_on_the_seed(exercise, monkeypatch):
    check = untimed(exercise)
    for mistake in EXERCISES[exercise].mistakes:
        scores = set()
        for seed in range(SEEDS):
            monkeypatch.setenv("FOVEA_SECRET", f"course {seed}")
            scores.add(check(*mistake.functions).score)
        assert len(scores) == 1, mistake.name


def noisy(value):
    """What came back, a little wrong everywhere."""
    if isinstance(value, tuple | list):
        return type(value)(map(noisy, value))
    if isinstance(value, dict):
        return {key: noisy(entry) for key, entry in value.items()}
    return value if isinstance(value, str) else value * 1.0625


@pytest.mark.parametrize(
    "exercise", [e for e in CHEAP if e not in ("three_layer_convnet", "torch_twin")]
)
def test_messages_leak_neither_inputs_nor_expected_numbers(exercise, solved):
    *before, last = answers_to(exercise, solved)

    def almost(*arguments, **options):
        return noisy(last(*arguments, **options))

    report = untimed(exercise)(*before, almost)
    assert report.findings
    for finding in report.findings:
        # whole numbers may stand for a shape, but not for a result that is asked for
        digits = r"\d" if exercise in COUNTS else r"\d\.\d"
        assert not re.search(digits, finding.message), finding.message


COUNTS = ("conv_output_size", "receptive_field", "count_parameters", "count_operations")

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


@pytest.mark.parametrize("exercise", CHEAP)
def test_checks_work_when_sent_as_source_alone(exercise, solved):
    namespace: dict = {}
    run = EXERCISES[exercise].run
    exec(inspect.getsource(run), namespace)
    check = replace(EXERCISES[exercise], run=namespace[run.__name__])
    assert check(*answers_to(exercise, solved)).findings == ()
