"""The hidden checks of topic 07 refuse what is wrong, by name, and take the rest."""

import numpy as np
import pytest
import torch
from torch import nn

from grader.checks import rnn_lstm
from grader.checks.rnn_lstm import answers as right
from grader.checks.rnn_lstm import cases, memory, oracles
from tests.grader.checks.cells import Cells
from tests.grader.checks.every_topic import *  # noqa: F403
from tests.grader.checks.topic import Topic

TOPIC = Topic(Cells("07_rnn_lstm", "import numpy"), trains=("long_memory",))


# --- the oracles, by another way ---


def reordered(weights, H):
    i, f, o, g = np.split(weights, 4, axis=-1)
    return np.concatenate([i, f, g, o], axis=-1)


@pytest.mark.parametrize("gates", [1, 4], ids=["rnn", "lstm"])
def test_the_oracles_of_sequences_agree_with_pytorch_s_layers(gates):
    for case in cases.sequences(gates)(np.random.default_rng(0)):
        x, h0, Wx, Wh, b = case.values()
        D, H = len(Wx), len(Wh)
        layer = (nn.RNN if gates == 1 else nn.LSTM)(D, H, batch_first=True).double()
        if gates == 4:
            Wx, Wh, b = (reordered(w, H) for w in (Wx, Wh, b))
        with torch.no_grad():
            values = (Wx.T, Wh.T, b, 0 * b)
            for parameter, value in zip(layer.parameters(), values, strict=True):
                parameter.copy_(torch.tensor(value))
        start = torch.tensor(h0)[None]
        state = start if gates == 1 else (start, 0 * start)
        wanted = layer(torch.tensor(x), state)[0].detach().numpy()
        np.testing.assert_allclose(oracles.sequence_forward(**case)["h"], wanted)


def slopes(function, arrays, douts):
    """Central differences of the sum of outputs times douts, along one direction."""
    rng = np.random.default_rng(1)
    for k, array in enumerate(arrays):
        direction, around = rng.normal(size=array.shape), []
        for step in (1e-6, -1e-6):
            moved = [*arrays]
            moved[k] = array + step * direction
            around.append(
                sum((o * d).sum() for o, d in zip(function(moved), douts, strict=True))
            )
        yield direction, (around[0] - around[1]) / 2e-6


@pytest.mark.parametrize("gates", [1, 4], ids=["rnn", "lstm"])
def test_the_oracles_of_gradients_agree_with_finite_differences(gates):
    make = cases.with_sequence_grads(cases.sequences(gates))
    for case in make(np.random.default_rng(0)):
        dh, names = case.pop("dh"), list(case)
        grads = oracles.sequence_backward(dh, **case)

        def states(arrays, names=names):
            given = dict(zip(names, arrays, strict=True))
            return [oracles.sequence_forward(**given)["h"]]

        found = slopes(states, list(case.values()), [dh])
        for name, (direction, slope) in zip(names, found, strict=True):
            along = (grads[f"d{name}"] * direction).sum()
            np.testing.assert_allclose(along, slope, rtol=1e-5, atol=1e-7)


# --- points for parts ---


def named(report):
    return {name for finding in report.findings for name in finding.mistakes}


def test_two_mistakes_at_once_are_both_named():
    def backward(dnext_h, dnext_c, cache):
        dx, dh, dc, dWx, dWh, db = right.lstm_step_backward(dnext_h, dnext_c, cache)
        f, all_of_dc = cache[6], dc / cache[6]
        return dx, dh, np.where(f >= 0, all_of_dc, 0), dWx, dWh, db / len(dx)

    report = rnn_lstm.lstm_step_backward(right.lstm_step_forward, backward)
    assert named(report) >= {"db averaged"}
    # dx, dprev_h, dWx, dWh are right, and count
    assert report.score == 3


def test_a_plain_backward_cut_short_keeps_the_points_of_short_sequences():
    def backward(dh, cache):
        return right.rnn_backward(dh, cache) if dh.shape[1] < 9 else [0, 0, 0, 0, 0]

    report = rnn_lstm.rnn_backward(right.rnn_forward, backward)
    assert report.score == 3.5


# --- texts that are drawn ---


@pytest.mark.slow
def test_right_texts_are_taken_in_many_courses(monkeypatch):
    for course in range(5):
        monkeypatch.setenv("FOVEA_SECRET", f"course {course}")
        report = TOPIC.scorer("sample")(right.sample)
        assert report.findings == (), report.to_markdown()


SLIPS = {
    "temperature multiplied": "inverse",
    "temperature left out": "temperature",
    "nothing read": "feedback",
    "state not kept": "state",
}


@pytest.mark.parametrize("mistake", SLIPS)
def test_a_text_that_another_sampler_drew_is_told_why_it_is_refused(mistake):
    case = cases._sampling(np.random.default_rng(3), 0.5, 300, 6)
    functions = {m.name: m.functions for m in rnn_lstm.sample.mistakes}
    (sample,) = functions[mistake]
    given = {n: v for n, v in case.items() if n != "seed"}
    text = sample(**given, rng=np.random.default_rng(4))
    words = oracles.compare_text("text", text, oracles.sample(**case)["text"])
    assert words == oracles._SLIPS[SLIPS[mistake]]


# --- the long memory ---


class Exact(nn.Module):
    """A memory that needs no training, for tests: it keeps the first step."""

    def __init__(self, names, flipped=0.0, leaky=False):
        super().__init__()
        self.names, self.flipped, self.leaky = names, flipped, leaky

    def forward(self, X, state=None):
        first = X[:, 0] if state is None or self.leaky else state
        logits = torch.zeros(len(X), 10)
        labels = self.names[first.argmax(1)]
        wrong = torch.arange(len(X)) < self.flipped * len(X)
        labels = torch.where(wrong & (len(X) > 100), (labels + 1) % 10, labels)
        return logits.scatter(1, labels[:, None], 1.0), first


def exactly(**how):
    def long_memory(X_train, y_train, seed):
        names = torch.zeros(10, dtype=torch.long)
        names[X_train[:, 0].argmax(1)] = y_train
        return Exact(names, **how)

    return long_memory


@pytest.mark.parametrize(
    ("how", "points"),
    [({}, 6), ({"leaky": True}, 5), ({"flipped": 0.3}, 2), ({"flipped": 0.7}, 0)],
    ids=["exact", "forgets its state", "70 %", "30 %"],
)
def test_points_for_memory_follow_what_was_remembered(how, points):
    score = rnn_lstm.long_memory(exactly(**how)).score
    # the flipped ones are read otherwise in pieces of fifty
    assert score == points


def test_a_state_that_keeps_all_is_refused():
    assert memory.compare_pieces("state", 1000.0, None)
    assert memory.compare_pieces("state", 256.0, None) == ""


def test_logits_that_depend_on_the_pieces_are_refused():
    whole = np.eye(3, dtype=np.float32)
    assert memory.compare_pieces("in pieces", [whole, whole + 1e-6], None) == ""
    assert memory.compare_pieces("in pieces", [whole, whole + 0.1], None)
    assert memory.compare_pieces("in pieces", [whole, whole[:1]], None)
    assert memory.compare_pieces("alone", [np.nan * whole, whole], None)
