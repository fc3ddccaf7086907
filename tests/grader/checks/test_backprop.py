"""The hidden checks of topic 01 refuse what is wrong, by name, and take the rest."""

import copy
from dataclasses import replace

import numpy as np
import pytest

from fovea.personal import personal_rng
from grader.checks import backprop
from grader.checks.backprop import answers as right
from grader.checks.backprop import net_mistakes, oracles
from grader.checks.digits import digits_data
from tests.grader.checks.cells import BACKPROP
from tests.grader.checks.every_topic import *  # noqa: F403
from tests.grader.checks.nearest import nearest
from tests.grader.checks.topic import StandIn, Topic, stand_in


class Value(StandIn):
    """Stands for a number whose operations give itself."""

    def __init__(self, data, answer):
        self.data, self.grad = answer(float(data)), 0.0

    def backward(self):
        self.grad = 1.0

    def same(self, *others):
        return self

    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = same
    __truediv__ = __rtruediv__ = __pow__ = __neg__ = exp = tanh = relu = same


def value_or_other(name, answer):
    if name == "Value":
        return lambda data, *more: Value(data, answer)
    return stand_in(name, answer)


TOPIC = Topic(
    BACKPROP,
    # the worksheet's mistakes are made for each student
    unlisted=["worksheet"],
    min_mistakes=5,
    trivial={
        "pair of last input": lambda *a: (a[-1], a[-1]),
        "first input, None": lambda *a: (a[0], None),
        "loss 1, ones": lambda *a: (1.0, np.ones_like(a[0])),
        "loss 0, input": lambda *a: (0.0, a[0]),
        "three of the first": lambda *a: (a[0], a[0], a[0]),
    },
    stand_in=value_or_other,
    num_seeds=4,
)

pytestmark = pytest.mark.filterwarnings("ignore:the matrix subclass")


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


# --- the worksheet ---


def answers_of(name, **changes):
    filled_in = {"student": name, **oracles.worksheet_answers(name), **changes}
    return lambda: filled_in


def test_the_notebook_and_the_check_draw_the_same_numbers():
    for name in ("ada", "me", "s001", "Grace Hopper"):
        drawn = TOPIC.solved["worksheet_numbers"](name)
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
        lambda *a: [[1, 2], [3]],
    ],
    ids=[
        "floats",
        "column",
        "too few",
        "one-hot",
        "strings",
        "zeros",
        "None",
        "ragged",
    ],
)
def test_what_is_not_a_label_for_each_digit_scores_nothing(answer):
    assert backprop.digits(answer).score == 0


def test_digits_known_by_heart_do_not_help():
    def by_heart(X_train, y_train, X_new, seed):
        *_, y_held_out = digits_data()
        return y_held_out

    assert backprop.digits(by_heart).score == 0


def test_digits_that_are_looked_up_do_not_help():
    def look_up(X_train, y_train, X_new, seed):
        X, y, X_held_out, y_held_out = digits_data()
        images = zip([*X, *X_held_out], [*y, *y_held_out], strict=True)
        known = {image.tobytes(): label for image, label in images}
        names = {known[x.tobytes()]: n for x, n in zip(X_train, y_train, strict=True)}
        return np.array([names[known[x.tobytes()]] for x in X_new])

    report = backprop.digits(look_up)
    assert report.score == 0
    assert "where do these labels come from" in report.to_markdown()


def test_who_wants_many_digits_to_learn_from_gets_them():
    def classify(X_train, y_train, X_new, seed):
        assert len(X_train) > 100
        return nearest(X_train, y_train, X_new, seed)

    assert backprop.digits(classify).score == 6


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_the_digits_solution_passes_for_every_seed(seed, monkeypatch):
    monkeypatch.setenv("FOVEA_SECRET", f"course {seed}")
    assert backprop.digits(TOPIC.solved["classify_digits"]).score == 6


def test_names_of_students_give_other_numbers():
    def first(name):
        return personal_rng(name, "backprop-worksheet").integers(10**9)

    assert first("ada") != first("grace")
