"""Every mistake that a student is likely to make, and the words it is met with."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import fovea
from fovea.data import Split
from tests.fovea.nets import convnet, digits, linear, points, weights

QUIET = {"show": False, "device": "cpu", "num_epochs": 1}


class Model(nn.Module):
    """A linear layer, and whatever a mistake adds."""

    def __init__(self, forward=None, **attributes):
        super().__init__()
        self.layer = linear()
        self.change = forward
        vars(self).update(attributes)

    def forward(self, x):
        out = self.layer(x)
        return self.change(self, out) if self.change else out


def refused(model, data, error=ValueError, **options):
    with pytest.raises(error) as raised:
        fovea.fit(model, data, **QUIET | options)
    return str(raised.value)


def test_what_is_right_is_not_refused():
    fovea.fit(Model(), points(), **QUIET)


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ([0, 1, 2] * 10, "labels go from 0 to 2, but the model has 2 scores"),
        ([0, -1, 1] * 10, "labels go from -1 to 1"),
        ([0.0, 1.0, 0.0] * 10, "int64 for cross-entropy, but y is (30,) float"),
        (np.zeros((30, 1), int), "labels (N, …)"),
        (np.zeros((30, 3)), "int64 for cross-entropy, but y is (30, 3) float"),
    ],
    ids=["too high", "negative", "floats", "a column", "too wide"],
)
def test_labels_that_do_not_fit(labels, words):
    data = Split(points(30).X, np.array(labels))
    assert words in refused(linear(), data)


def test_labels_that_cross_entropy_takes_as_well():
    X = points(30).X
    ignored = np.array([0, 1, -100] * 10)
    shares = np.full((30, 2), 0.5, np.float32)
    fovea.fit(linear(), (X, ignored), metric=None, **QUIET)
    fovea.fit(linear(), (X, shares), metric=None, **QUIET)


def test_labels_of_validation_are_looked_at_too():
    data = points()
    wrong = Split(data.X, data.y + 5)
    assert "labels go from 5 to 6" in refused(linear(), data, val=wrong)


@pytest.mark.parametrize("loss", [F.mse_loss, nn.MSELoss()])
def test_shapes_that_would_broadcast(loss):
    X = points(30).X
    assert "(30,)" in refused(linear(3, 1), (X, X[:, 0].copy()), loss=loss)


def test_a_loss_that_fails_or_returns_too_much():
    X = points().X
    many = refused(linear(), (X, X), loss=lambda out, y: out - y[:, :2])
    assert "expected a tensor of one number" in many
    fails = refused(linear(), (X, X), loss=lambda out, y: out + y)
    assert "the loss fails on an output (2, 2) float32 and y (2, 3) float32" in fails


def test_shapes_that_a_layer_cannot_take_name_the_layer():
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(30, 10))
    words = refused(model, digits())
    assert "X (2, 1, 8, 8) float32" in words
    assert "in 3 = Linear(in_features=30, out_features=10" in words
    assert "which got (2, 32)" in words


@pytest.mark.parametrize(
    ("forward", "words"),
    [
        (lambda self, out: None, "returns None: does forward end with return?"),
        (lambda self, out: (out, out), "returns a tuple, expected a tensor"),
        (lambda self, out: out.sum(0, keepdim=True), "makes (1, 2) float32"),
        (lambda self, out: out.nope, "no attribute 'nope'"),
    ],
    ids=["no return", "a tuple", "one for all", "a crash"],
)
def test_what_forward_returns(forward, words):
    assert words in refused(Model(forward), points())


def test_a_tensor_that_stayed_on_another_device_is_named():
    model = Model(lambda self, out: out * self.mask, mask=torch.ones(2, device="meta"))
    words = refused(model, points())
    assert "self.mask is on meta" in words
    assert "register_buffer" in words


@pytest.mark.parametrize("hide", [list, tuple, lambda m: dict(enumerate(m))])
def test_layers_in_a_plain_container_would_not_be_trained(hide):
    words = refused(Model(hidden=hide([linear()])), points())
    assert "self.hidden is a plain" in words
    assert "nn.ModuleList" in words


def test_a_plain_list_of_layers_that_are_known_is_fine():
    model = Model()
    model.order = [model.layer]
    fovea.fit(model, points(), **QUIET)


@pytest.mark.parametrize("model", [nn.Flatten(), linear().requires_grad_(False)])
def test_a_model_without_anything_to_train(model):
    assert "no parameter that can be trained" in refused(model, points())


def test_data_that_are_empty_or_cannot_be_repeated():
    X, y = torch.zeros(0, 3), torch.zeros(0, dtype=torch.int64)
    assert "empty" in refused(linear(), Split(X, y))
    assert "empty" in refused(linear(), DataLoader(TensorDataset(X, y)))
    pair = torch.zeros(4, 3), torch.zeros(4, dtype=torch.int64)
    assert "generator" in refused(linear(), (p for p in [pair]))


def test_data_that_are_not_finite_name_the_sample():
    data = points()
    data.X[7, 1] = np.nan
    assert "sample 7 holds nan" in refused(linear(), data)


def test_a_loss_that_explodes_names_the_weights_and_the_cure():
    data = Split(points().X, points().X[:, :1] * 1e3)
    options = {"optimizer": torch.optim.SGD, "lr": 1e6, "num_epochs": 50}
    words = refused(linear(3, 1), data, FloatingPointError, loss=F.mse_loss, **options)
    assert "the loss is" in words
    assert "epoch" in words
    assert "smaller lr" in words or "output is finite" in words


def test_a_layer_that_makes_nan_is_named():
    class Log(nn.Module):
        def forward(self, x):
            return x.log()

    model = nn.Sequential(linear(3, 4), Log(), linear(4, 2))
    words = refused(model, points(), FloatingPointError)
    assert "loss is nan in epoch 1, step 1" in words
    assert "1 = Log() is the first layer" in words


def test_a_loss_that_makes_nan_itself_is_named():
    def loss(out, y):
        return (out.softmax(1)[:, 0] - 2).log().mean()

    assert "so it is the loss" in refused(
        linear(), points(), FloatingPointError, loss=loss
    )


def test_an_augmentation_that_makes_nan_is_named():
    words = refused(linear(), points(), FloatingPointError, augment=lambda X, _: X / 0)
    assert "look at the data and at the augmentation" in words


def test_looking_changes_nothing():
    model, twin = convnet(dropout=0.5), convnet(dropout=0.5)
    before = weights(model)
    words = refused(model, (digits().train.X, digits().train.y + 5))
    assert "labels go from" in words
    assert all(torch.equal(a, b) for a, b in zip(weights(model), before, strict=True))
    assert model.training
    assert not model[0]._forward_hooks
    assert not model[0]._forward_pre_hooks
    assert len(list(model.modules())) == len(list(twin.modules()))
