"""The hidden checks of topic 04 refuse what is wrong, by name, and take the rest."""

from dataclasses import replace

import numpy as np
import pytest

from grader.checks import cnn
from grader.checks.cnn import answers as right
from grader.checks.cnn import oracles
from grader.checks.cnn.unusual import UNUSUAL as SAMPLED
from tests.grader.checks.cells import CNN
from tests.grader.checks.every_topic import *  # noqa: F403
from tests.grader.checks.nearest import nearest
from tests.grader.checks.topic import Topic

TOPIC = Topic(
    CNN,
    shared={f"conv_{w}_im2col": f"conv_{w}_naive" for w in ("forward", "backward")},
    whole=[
        "conv_output_size",
        "receptive_field",
        "count_parameters",
        "count_operations",
    ],
    # its gradient depends on who gets it at ties, where two right poolings may differ
    unsettled=["first relu forgotten on the way back"],
)

pytestmark = pytest.mark.filterwarnings("ignore:Lazy modules")


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
    (finding,) = TOPIC.scorer(exercise)(*functions).findings
    assert finding.points == 1
    assert "loops over places" in finding.message


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
    report = replace(TOPIC.scorer("three_layer_convnet"), properties=properties)(Net)
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

    report = TOPIC.scorer("three_layer_convnet")(Net)
    names = {f.property for f in report.findings}
    assert "has the promised sizes and dtype by default" in names


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


@pytest.mark.parametrize(
    ("flipped", "points"), [(0.0, 6), (0.05, 2), (0.5, 0)], ids=["98%", "93%", "50%"]
)
def test_points_for_digits_follow_the_share_of_right_labels(flipped, points):
    def classify(X_train, y_train, X_new, seed):
        labels = nearest(X_train, y_train, X_new, seed)
        wrong = np.arange(len(labels)) < flipped * len(labels)
        return np.where(wrong, (labels + 1) % 10, labels)

    assert cnn.digits(classify).score == points
