"""A cheap classifier, for tests of exercises that are judged by a share of labels."""

import numpy as np


def nearest(
    X_train: np.ndarray, y_train: np.ndarray, X_new: np.ndarray, seed: int
) -> np.ndarray:
    """Return the label of the nearest training image, for each new one."""
    A, B = X_train.reshape(len(X_train), -1), X_new.reshape(len(X_new), -1)
    squares = (A**2).sum(1) - 2 * B @ A.T
    return y_train[squares.argmin(axis=1)]
