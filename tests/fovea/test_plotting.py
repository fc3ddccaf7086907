import io

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from PIL import Image

from fovea import plotting

GRAPH = {"a": (0, 0), "b": (1, 0)}


@pytest.fixture(autouse=True)
def fresh_figures():
    with plt.style.context("default"):
        yield
    plt.close("all")


def test_style_sets_the_default_size_and_a_known_cycle():
    plotting.use_style()

    assert plt.rcParams["figure.figsize"] == [6, 3.5]
    first = plt.rcParams["axes.prop_cycle"].by_key()["color"][0]
    assert to_rgb(first if first[0] == "#" else f"#{first}") == to_rgb("#0072B2")


def test_colors_of_train_val_and_test_differ():
    colors = {plotting.COLORS[name] for name in ("train", "val", "test")}

    assert len(colors) == 3


def test_describe_gives_a_sharper_png_than_the_width_it_is_shown_with():
    plotting.use_style()
    fig, ax = plt.subplots(figsize=(5, 3))

    picture = plotting.describe(ax, "An empty plot.")

    assert picture.width == 480
    assert Image.open(io.BytesIO(picture.png)).size == (720, 432)
    assert not plt.fignum_exists(fig.number)


def test_description_reaches_html_metadata_and_text_escaped():
    picture = plotting.describe(plt.subplots()[0], 'A "kink" at x < 0.')

    data, metadata = picture._repr_mimebundle_()

    assert 'alt="A &quot;kink&quot; at x &lt; 0."' in data["text/html"]
    assert metadata["image/png"]["alt"] == 'A "kink" at x < 0.'
    assert 'A "kink" at x < 0.' in data["text/plain"]


def test_describe_takes_the_array_of_axes():
    fig, axes = plt.subplots(2, 2)

    plotting.describe(axes, "Four empty plots.")

    assert not plt.fignum_exists(fig.number)


@pytest.mark.parametrize("alt", ["", "  "])
def test_describe_refuses_a_figure_without_words(alt):
    with pytest.raises(ValueError, match="alt is empty"):
        plotting.describe(plt.subplots()[0], alt)


@pytest.mark.parametrize("shape", [(12, 8, 8), (12, 1, 8, 8)], ids=["NHW", "N1HW"])
def test_image_grid_fills_rows_and_leaves_the_rest_empty(shape):
    axes = plotting.image_grid(np.ones(shape), names=range(12), title="Twelve")

    assert axes.shape == (2, 10)
    assert sum(len(ax.images) for ax in axes.flat) == 12
    assert axes[1, 1].get_title() == "11"


def test_image_grid_shows_zero_of_signed_images_in_the_middle():
    axes = plotting.image_grid(np.array([[[-1.0, 0.5]], [[0.0, 3.0]]]), columns=2)

    assert {ax.images[0].get_clim() for ax in axes.flat} == {(-3.0, 3.0)}


def test_curves_are_labelled_and_keep_the_colour_of_their_meaning():
    ax = plt.subplots()[1]

    drawn = plotting.draw_curves(ax, np.arange(3), {"val": np.ones(3), "x": np.ones(3)})

    assert drawn is ax
    assert ax.lines[0].get_color() == plotting.COLORS["val"]
    names = [text.get_text() for text in ax.get_legend().get_texts()]
    assert names == ["val", "x"]


def test_tangent_passes_through_the_point_with_the_slope():
    ax = plt.subplots()[1]

    plotting.draw_tangent(ax, np.square, lambda z: 2 * z, 1.5)

    (x0, x1), (y0, y1) = ax.lines[2].get_data()
    assert np.isclose((y1 - y0) / (x1 - x0), 3.0)
    assert np.isclose((y0 + y1) / 2, 1.5**2)


@pytest.mark.parametrize("weights", [[1.0, -1.0], [0.0, 0.0]], ids=["tilted", "zero"])
def test_cut_shows_every_point(weights):
    ax = plt.subplots()[1]
    points, positive = np.eye(2), np.array([True, False])

    plotting.draw_cut(ax, points, positive, weights, 0.5)

    shown = [
        tuple(point) for part in ax.collections[-2:] for point in part.get_offsets()
    ]
    assert sorted(shown) == [(0, 1), (1, 0)]


def test_graph_shows_only_the_numbers_that_are_known():
    ax = plt.subplots()[1]

    plotting.draw_graph(ax, GRAPH, [("a", "b")], values={"a": 2}, grads={"b": -0.5})

    assert [t.get_text() for t in ax.texts] == ["a", "2", "b", "-0.5", ""]
