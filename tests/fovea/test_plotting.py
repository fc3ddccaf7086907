import io

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgb
from PIL import Image
from sklearn.metrics import confusion_matrix

from fovea import plotting


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


@pytest.mark.parametrize("style", [plotting.use_style, plt.rcdefaults])
def test_describe_draws_what_savefig_writes(style):
    style()
    for make in (plt.subplots, lambda: plt.subplots(layout="none")):
        pngs = []
        for draw in (_saved, lambda f: plotting.describe(f, "Two lines.").png):
            figure, ax = make()
            ax.semilogy([1, 1000], label="a line")
            ax.twinx().plot([3, 1])
            ax.set(xlabel="steps", title="Down")
            ax.legend()
            pngs.append(draw(figure))
        assert pngs[0] == pngs[1]


def _saved(figure):
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    plt.close(figure)
    return buffer.getvalue()


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


def test_curves_show_points_between_gaps_with_markers_and_no_others():
    ax = plt.subplots()[1]
    values = [1.0, np.nan, 2.0, 3.0, np.nan, np.nan, 4.0]

    plotting.draw_curves(ax, range(7), {"val": values, "train": np.ones(7)})

    assert np.flatnonzero(ax.lines[0].get_markevery()).tolist() == [0, 6]
    assert [line.get_marker() for line in ax.lines] == ["o", "None"]


def test_a_curve_of_one_point_can_be_seen():
    fig, ax = plt.subplots()
    empty = painted(fig)

    plotting.draw_curves(ax, [1], {"train": [0.5]})
    ax.get_legend().remove()

    assert painted(fig) > empty + 20


def painted(fig):
    """The number of pixels that aren't grey."""
    ax = fig.axes[0]
    ax.set(xlim=(0, 2), ylim=(0, 1))
    fig.canvas.draw()
    pixels = np.asarray(fig.canvas.buffer_rgba())[..., :3].astype(int)
    return np.count_nonzero(np.ptp(pixels, axis=-1) > 50)


@pytest.mark.parametrize("layout", ["constrained", "none"])
def test_the_legend_of_curves_is_inside_the_figure(layout):
    fig, ax = plt.subplots(layout=layout)
    plotting.draw_curves(ax, range(9), {"a long name": range(9), "b": range(9)})

    fig.canvas.draw()

    box, whole = ax.get_legend().get_window_extent(), fig.bbox
    assert box.x0 > whole.x0
    assert box.x1 <= whole.x1


def test_colours_are_shown_as_they_are():
    images = np.random.default_rng(0).random((4, 3, 5, 6))

    axes = plotting.image_grid(images, columns=2)

    shown = [ax.images[0].get_array() for ax in axes.flat]
    np.testing.assert_allclose(shown, images.transpose(0, 2, 3, 1))


def test_colour_filters_keep_their_sizes_to_each_other_around_mid_grey():
    filters = np.random.default_rng(0).normal(size=(4, 3, 5, 5))

    axes = plotting.image_grid(filters, columns=2)

    shown = np.stack([ax.images[0].get_array() for ax in axes.flat]) - 0.5
    ratios = shown / filters.transpose(0, 2, 3, 1)
    np.testing.assert_allclose(ratios, ratios[0, 0, 0, 0])
    assert np.isclose(np.abs(shown).max(), 0.5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.uint8], ids=str)
def test_image_grid_takes_tensors_that_are_part_of_a_graph(dtype):
    images = torch.ones(2, 1, 4, 4).to(dtype)

    axes = plotting.image_grid(
        images.requires_grad_(dtype.is_floating_point), columns=2
    )

    assert axes[0, 1].images[0].get_array().max() == 1


POINTS = np.random.default_rng(0).normal(size=(60, 2))
SIXTHS = np.arange(60) % 6


def angle(points):
    return np.arctan2(points[:, 1], points[:, 0])


def sixth(points):
    """The class of each point, by its direction from the origin."""
    return np.minimum(((angle(points) + np.pi) / (np.pi / 3)).astype(int), 5)


def score(points):
    """The logits of ``sixth``, as a tensor that is part of a graph."""
    return torch.tensor(np.eye(6)[sixth(points)], requires_grad=True)


@pytest.mark.parametrize("predict", [sixth, score])
def test_regions_have_the_class_that_the_classifier_sees_there(predict):
    ax = plt.subplots()[1]

    assert plotting.draw_regions(ax, predict, POINTS, SIXTHS) is ax

    image = ax.images[0]
    left, right, bottom, top = image.get_extent()
    seen = image.get_array()
    assert left < POINTS[:, 0].min() < POINTS[:, 0].max() < right
    for point in POINTS:
        column = (point[0] - left) / (right - left) * 200
        # The first row lies at the top
        row = (top - point[1]) / (top - bottom) * 200
        label = seen[int(row), int(column)]
        # Half a cell beside a boundary, either side is right
        near = sixth(point + 0.05 * np.random.default_rng(1).normal(size=(99, 2)))
        assert label in near


def test_regions_tell_classes_apart_by_colour_and_by_shape():
    ax = plt.subplots()[1]

    plotting.draw_regions(ax, sixth, POINTS, SIXTHS, names="abcdef")

    points = ax.collections
    assert len({tuple(part.get_facecolor()[0]) for part in points}) == 6
    assert len({part.get_paths()[0].vertices.tobytes() for part in points}) == 6
    shown = np.concatenate([part.get_offsets() for part in points])
    assert sorted(map(tuple, shown)) == sorted(map(tuple, POINTS))
    names = [text.get_text() for text in ax.get_legend().get_texts()]
    assert names == list("abcdef")


def test_regions_have_the_colours_of_their_points():
    ax = plt.subplots()[1]

    plotting.draw_regions(ax, sixth, POINTS, SIXTHS)

    image = ax.images[0]
    for k, part in enumerate(ax.collections):
        colour = image.cmap(image.norm(k))
        assert tuple(part.get_facecolor()[0]) == colour


def test_classifier_gets_points_as_float32():
    dtypes = []

    def predict(points):
        dtypes.append(points.dtype)
        return np.zeros(len(points))

    plotting.draw_regions(plt.subplots()[1], predict, POINTS, SIXTHS)

    assert dtypes == [np.float32]


@pytest.mark.parametrize("shape", [(6, 8), (1, 6, 8), (3, 6, 8)], ids=str)
def test_overlay_covers_the_image_whatever_its_own_size(shape):
    ax = plt.subplots()[1]
    saliency = torch.rand(2, 3, requires_grad=True)

    assert plotting.draw_overlay(ax, np.ones(shape), saliency, alpha=0.3) is ax

    image, over = ax.images
    assert [*over.get_extent()] == [*image.get_extent()] == [-0.5, 7.5, 5.5, -0.5]
    assert over.get_alpha() == 0.3
    np.testing.assert_allclose(over.get_array(), saliency.detach())


@pytest.mark.parametrize(
    ("low", "limits"), [(0.5, (0, 2)), (-4, (-4, 4))], ids=["positive", "signed"]
)
def test_overlay_states_its_scale(low, limits):
    fig, ax = plt.subplots()

    plotting.draw_overlay(ax, np.zeros((4, 4)), [[low, 2.0]])

    assert ax.images[1].get_clim() == limits
    assert fig.axes[1].get_ylim() == limits


def test_a_saliency_of_zeros_has_the_colour_of_zero():
    ax = plt.subplots()[1]

    plotting.draw_overlay(ax, np.zeros((4, 4)), np.zeros((2, 2)))

    over = ax.images[1]
    assert over.cmap(over.norm(0.0)) == over.cmap(0)


def test_confusion_counts_as_scikit_learn_does():
    rng = np.random.default_rng(0)
    # Class 3 has no sample and is never predicted
    labels, predicted = rng.choice([0, 1, 2, 4], size=(2, 300))
    ax = plt.subplots()[1]

    plotting.draw_confusion(ax, torch.tensor(labels), predicted, list("abcde"))

    expected = confusion_matrix(labels, predicted, labels=range(5))
    shown = {text.get_position(): int(text.get_text()) for text in ax.texts}
    assert all(shown[j, i] == expected[i, j] for i in range(5) for j in range(5))
    np.testing.assert_allclose(
        ax.images[0].get_array().sum(axis=1), [1, 1, 1, 0, 1], atol=1e-12
    )
    assert [label.get_text() for label in ax.get_yticklabels()] == list("abcde")


def test_numbers_stand_out_from_every_shade():
    ax = plt.subplots()[1]
    # Row i: a share of i/10 is class 0
    labels = np.repeat(np.arange(11), 10)
    predicted = np.concatenate([[0] * i + [1] * (10 - i) for i in range(11)])

    plotting.draw_confusion(ax, labels, predicted, range(11))

    image = ax.images[0]
    for text in ax.texts:
        column, row = text.get_position()
        shade = image.cmap(image.norm(image.get_array()[row, column]))
        assert contrast(text.get_color(), shade) >= 4.5, text


def contrast(one, other):
    """The contrast of two colours, 1 to 21 (WCAG 2.2, 1.4.3; text needs 4.5)."""
    brightness = []
    for colour in (one, other):
        c = np.array(to_rgb(colour))
        linear = np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)
        brightness.append(linear @ [0.2126, 0.7152, 0.0722] + 0.05)
    return max(brightness) / min(brightness)


ONES, NAN = np.ones((2, 2)), np.full((2, 2), np.nan)
WRONG = {
    "one image": (lambda ax: plotting.image_grid(ONES), r"\(2, 2\).*\(N, H, W\)"),
    "four channels": (
        lambda ax: plotting.image_grid(np.ones((2, 4, 5, 5))),
        r"\(2, 4, 5, 5\), expected .*\(N, 3, H, W\)",
    ),
    "no image": (lambda ax: plotting.image_grid(np.ones((0, 8, 8))), "not empty"),
    "nan": (lambda ax: plotting.image_grid(NAN[None]), "4 values that are nan"),
    "bytes": (
        lambda ax: plotting.image_grid(np.full((1, 3, 2, 2), 255)),
        r"up to 255, expected \[0, 1\]",
    ),
    "curve": (lambda ax: plotting.draw_curves(ax, [1, 2], {"val": [1]}), "val has sha"),
    "points": (lambda ax: plotting.draw_regions(ax, sixth, POINTS.T, SIXTHS), "X has"),
    "labels of others": (
        lambda ax: plotting.draw_regions(ax, sixth, POINTS, SIXTHS[:9]),
        r"y has shape \(9,\), expected \(60,\)",
    ),
    "seventh class": (
        lambda ax: plotting.draw_regions(ax, sixth, POINTS, SIXTHS + 1),
        "y has the label 6, expected whole numbers from 0 to 5",
    ),
    "probability": (
        lambda ax: plotting.draw_regions(ax, lambda p: p[:, 0], POINTS, SIXTHS),
        r"predict\(points\) has the label -",
    ),
    "one score": (
        lambda ax: plotting.draw_regions(ax, lambda p: p[:, :1], POINTS, SIXTHS),
        r"one score.*labels",
    ),
    "normalised image": (
        lambda ax: plotting.draw_overlay(ax, -ONES, ONES),
        r"image has values in \[-1, -1\], expected \[0, 1\]",
    ),
    "batch of maps": (
        lambda ax: plotting.draw_overlay(ax, ONES, ONES[None]),
        r"saliency has shape \(1, 2, 2\)",
    ),
    "half a label": (
        lambda ax: plotting.draw_confusion(ax, [0, 0.5], [0, 1], "ab"),
        "labels has the label 0.5",
    ),
    "unknown class": (
        lambda ax: plotting.draw_confusion(ax, [0, 1], [0, 2], "ab"),
        "predicted has the label 2, expected whole numbers from 0 to 1",
    ),
    "logits": (
        lambda ax: plotting.draw_confusion(ax, [0, 1], ONES, "ab"),
        r"predicted has shape \(2, 2\), expected \(2,\)",
    ),
}


@pytest.mark.parametrize(("draw", "message"), WRONG.values(), ids=list(WRONG))
def test_what_cannot_be_drawn_is_refused_by_name(draw, message):
    with pytest.raises(ValueError, match=message):
        draw(plt.subplots()[1])
