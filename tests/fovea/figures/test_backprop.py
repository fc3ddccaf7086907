import matplotlib.pyplot as plt
import numpy as np
import pytest

from fovea.figures.backprop import draw_cut, draw_graph, draw_tangent

GRAPH = {"a": (0, 0), "b": (1, 0)}


@pytest.fixture(autouse=True)
def fresh_figures():
    with plt.style.context("default"):
        yield
    plt.close("all")


def test_tangent_passes_through_the_point_with_the_slope():
    ax = plt.subplots()[1]

    draw_tangent(ax, np.square, lambda z: 2 * z, 1.5)

    (x0, x1), (y0, y1) = ax.lines[2].get_data()
    assert np.isclose((y1 - y0) / (x1 - x0), 3.0)
    assert np.isclose((y0 + y1) / 2, 1.5**2)


@pytest.mark.parametrize("weights", [[1.0, -1.0], [0.0, 0.0]], ids=["tilted", "zero"])
def test_cut_shows_every_point(weights):
    ax = plt.subplots()[1]
    points, positive = np.eye(2), np.array([True, False])

    draw_cut(ax, points, positive, weights, 0.5)

    shown = [
        tuple(point) for part in ax.collections[-2:] for point in part.get_offsets()
    ]
    assert sorted(shown) == [(0, 1), (1, 0)]


def test_graph_shows_only_the_numbers_that_are_known():
    ax = plt.subplots()[1]

    draw_graph(ax, GRAPH, [("a", "b")], values={"a": 2}, grads={"b": -0.5})

    assert [t.get_text() for t in ax.texts] == ["a", "2", "b", "-0.5", ""]
