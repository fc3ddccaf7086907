import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_hex

from fovea.figures import COLORS, adversarial

NAMES = ["cat", "dog", "bird"]


@pytest.fixture(autouse=True)
def fresh_figures():
    with plt.style.context("default"):
        yield
    plt.close("all")


def shown(ax):
    return np.asarray(ax.images[0].get_array())


@pytest.mark.parametrize("size", [0.004, 0.3])
def test_change_is_magnified_to_the_whole_range_around_mid_grey(size):
    ax = plt.subplots()[1]
    change = size * np.array([[[1.0, -1.0], [0.0, 0.5]]])

    adversarial.draw_change(ax, change)

    assert np.allclose(shown(ax), [[1, 0], [0.5, 0.75]])
    assert ax.get_title() == f"change × {0.5 / size:.0f}"


def test_no_change_is_mid_grey():
    ax = plt.subplots()[1]

    adversarial.draw_change(ax, np.zeros((3, 2, 2)))

    assert (shown(ax) == 0.5).all()
    assert ax.get_title() == "no change"


def test_attack_shows_image_change_sum_and_the_most_probable_class():
    axes = plt.subplots(1, 4)[1]
    image = np.full((3, 2, 2), 0.5)
    changed = image.copy()
    changed[0, 1, 0] = 0.75

    adversarial.draw_attack(axes, image, changed, [0.2, 0.7, 0.1], NAMES, 0)

    assert np.allclose(shown(axes[0]), 0.5)
    assert np.allclose(shown(axes[2]), np.moveaxis(changed, 0, -1))
    assert [ax.get_title() for ax in axes[[0, 3]]] == ["image: cat", "dog, 70%"]
    bars = axes[3].patches
    assert np.allclose([bar.get_width() for bar in bars], [0.2, 0.7, 0.1])
    colors = [bar.get_facecolor() for bar in bars]
    assert to_hex(colors[0]).upper() == COLORS["value"]
    assert colors[0] != colors[1] == colors[2]
    red = shown(axes[1])[..., 0]
    assert np.allclose(red, [[0.5, 0.5], [1, 0.5]])


def test_hill_beside_the_ridge_is_the_higher_one():
    grid = np.meshgrid(np.linspace(0, 1, 101), np.linspace(0, 1, 101))
    heights = adversarial.height(*grid)

    top = np.unravel_index(heights.argmax(), heights.shape)
    assert np.allclose([axis[top] for axis in grid], [0.62, 0.2], atol=0.02)
    right = grid[0] > 0.85
    assert 0.5 < heights[right].max() < heights.max()


def test_slope_is_that_of_the_height():
    start, end = np.array([0.85, 0.55]), np.array([0.6, 0.3])
    points = np.linspace(start, end, 2001)

    slopes = np.array([adversarial.slope(p) for p in (points[1:] + points[:-1]) / 2])

    climbed = np.sum(slopes * np.diff(points, axis=0))
    heights = adversarial.height(*start), adversarial.height(*end)
    assert np.isclose(climbed, heights[1] - heights[0], atol=1e-6)


@pytest.mark.parametrize("steps", [0, 2])
def test_ascent_shows_the_path_the_proposals_and_the_ball(steps):
    ax = plt.subplots()[1]
    x = np.array([0.9, 0.5])
    path = np.array([x, [1.0, 0.6], [1.0, 0.7]])[: steps + 1]
    proposals = np.array([[1.1, 0.6], [1.2, 0.7]])[:steps]

    adversarial.draw_ascent(ax, x, 0.25, path, proposals)

    lines = [np.transpose(line.get_data()) for line in ax.lines]
    assert any(line.shape == path.shape and (line == path).all() for line in lines)
    ends = [tuple(line[1]) for line in lines[:steps]]
    assert ends == [tuple(proposal) for proposal in proposals]
    ball = ax.patches[1]
    assert np.allclose([*ball.get_xy(), ball.get_width()], [0.65, 0.25, 0.5])


def test_table_says_which_share_stands_where():
    ax = plt.subplots()[1]

    adversarial.draw_table(ax, [[1, 0.5, 0], [0.25, 0.9, 1]], "ab", NAMES)

    found = {t.get_position(): t.get_text() for t in ax.texts}
    assert found[(1, 0)] == "50%"
    assert found[(0, 1)] == "25%"
    assert len(found) == 6


def test_accuracy_is_drawn_in_percent():
    ax = plt.subplots()[1]

    adversarial.draw_accuracy(ax, [0, 1], {"noise": [1.0, 0.9]}, "title", "(levels)")

    assert ax.lines[0].get_ydata().tolist() == [100, 90]
    assert ax.get_xlabel() == "ε (levels)"


def test_each_gradient_has_zero_in_the_middle_of_its_scale():
    axes = plt.subplots(2, 2)[1]
    images = np.full((2, 1, 2, 2), 0.5)
    gradient = np.stack([np.full((1, 2, 2), -3.0), np.zeros((1, 2, 2))])

    adversarial.draw_gradients(axes, images, {"g": gradient})

    limits = [ax.images[0].get_clim() for ax in axes.flat]
    assert limits == [(0, 1), (0, 1), (-3, 3), (-1, 1)]
    assert axes[1, 0].get_title(loc="left") == "g"
