"""Small models and data for the tests of training."""

import numpy as np
import torch
from torch import nn

from fovea.data import Dataset, Split, load


def digits(num_train=256, num_val=64):
    """A few real digits."""
    data = load("digits")
    parts = data.train.head(num_train), data.val.head(num_val), data.test.head(64)
    return Dataset("digits", *parts, class_names=data.class_names)


def convnet(seed=0, dropout=0.0):
    """A ConvNet with all that makes runs differ: batch norm, dropout, image layout."""
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Dropout(dropout),
        nn.Linear(8 * 16, 10),
    )


def linear(inputs=3, outputs=2, seed=0):
    torch.manual_seed(seed)
    return nn.Linear(inputs, outputs)


def points(n=40, seed=0):
    """Points in space and whether their first coordinate is positive."""
    X = np.random.default_rng(seed).normal(size=(n, 3)).astype(np.float32)
    return Split(X, (X[:, 0] > 0).astype(np.int64))


def weights(model):
    return [value.clone() for value in model.state_dict().values()]


def same(model, other):
    """Whether two models hold the same weights and statistics, to the last bit."""
    pairs = zip(weights(model), weights(other), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)
