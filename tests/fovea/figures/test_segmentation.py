import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
import torch.nn.functional as F

from fovea.figures import segmentation as drawings


@pytest.fixture(autouse=True)
def fresh_figures():
    with plt.style.context("default"):
        yield
    plt.close("all")


def texts(ax):
    return [text.get_text() for text in ax.texts]


def numbers(ax, count):
    return [float(text) for text in texts(ax)[:count]]


def shown_matrix(ax):
    return np.asarray(ax.images[0].get_array())


def test_copies_add_up_to_a_transposed_convolution():
    ax = plt.subplots()[1]
    x, kernel = np.array([2.0, -1.0, 3.0]), np.array([1.0, 4.0, 2.0, 5.0])

    drawings.draw_copies(ax, x, kernel, stride=2, padding=1)

    tensors = [torch.tensor(a)[None, None] for a in (x, kernel)]
    expected = F.conv_transpose1d(*tensors, stride=2).flatten().tolist()
    written = texts(ax)[: texts(ax).index("2 · kernel")]
    assert [float(text) for text in written[-len(expected) :]] == expected
    assert f"3 numbers become {len(expected) - 2}" in ax.get_title()


@pytest.mark.parametrize("padding", [0, 1])
def test_last_step_shows_the_whole_transposed_convolution(padding):
    axes = plt.subplots(1, 3)[1]
    x, kernel = np.array([[1.0, 2.0], [3.0, 4.0]]), np.arange(9.0).reshape(3, 3)

    drawings.draw_transposed_step(axes, x, kernel, 4, 2, padding)

    tensors = [torch.tensor(a)[None, None] for a in (x, kernel)]
    whole = F.conv_transpose2d(*tensors, stride=2).flatten().tolist()
    cropped = F.conv_transpose2d(*tensors, stride=2, padding=padding)
    assert numbers(axes[2], 25) == whole
    assert axes[2].get_title() == "output {}×{}".format(*cropped.shape[2:])


def test_first_step_leaves_what_no_copy_has_reached_empty():
    axes = plt.subplots(1, 3)[1]

    drawings.draw_transposed_step(axes, np.ones((2, 2)), np.ones((2, 2)), 1, 2, 0)

    assert texts(axes[2]) == ["1"] * 4


@pytest.mark.parametrize("stride", [1, 2])
def test_matrix_is_that_of_the_convolution(stride):
    plain, turned = plt.subplots(1, 2)[1]
    kernel, image = np.array([[1.0, 2.0, 5.0], [3.0, 4.0, 6.0]]), torch.randn(4, 5)

    drawings.draw_conv_matrix(plain, kernel, (4, 5), stride)
    drawings.draw_conv_matrix(turned, kernel, (4, 5), stride, transposed=True)

    matrix = shown_matrix(plain)
    weight = torch.tensor(kernel)[None, None]
    expected = F.conv2d(image[None, None].double(), weight, stride=stride)
    assert np.allclose(matrix @ image.flatten().numpy(), expected.flatten())
    assert np.array_equal(shown_matrix(turned), matrix.T)


@pytest.mark.parametrize(
    ("kernel", "stride", "verdict"),
    [
        (3, 2, "uneven"),
        (4, 2, "even"),
        (2, 3, "uneven"),
        (3, 3, "even"),
        (3, 1, "even"),
    ],
)
def test_coverage_counts_the_copies(kernel, stride, verdict):
    ax = plt.subplots()[1]

    drawings.draw_coverage(ax, kernel, stride)

    ones = torch.ones(1, 1, 6, 6), torch.ones(1, 1, kernel, kernel)
    counts = F.conv_transpose2d(*ones, stride=stride)[0, 0]
    assert np.array_equal(shown_matrix(ax), counts)
    assert f" {verdict} " in ax.get_title()


def test_agreement_has_a_colour_for_each_of_four_cases():
    ax = plt.subplots()[1]

    drawings.draw_agreement(ax, np.array([[0, 1, 0, 1]]), np.array([[0, 0, 1, 1]]))

    names = list(drawings.AGREEMENT)
    cases = [names[case] for case in shown_matrix(ax)[0]]
    assert cases == ["neither", "predicted only", "target only", "both"]


def legend_of(place):
    return [text.get_text() for text in place.get_texts()]


def test_legends_name_what_is_drawn():
    fig, ax = plt.subplots(layout="constrained")

    drawings.add_label_legend(fig, ("background", "circle"))
    drawings.add_agreement_legend(fig)
    drawings.draw_agreement(ax, np.eye(2), np.eye(2))

    names, cases = (legend_of(legend) for legend in fig.legends)
    assert names == ["background", "circle"]
    assert cases == legend_of(ax.get_legend()) == list(drawings.AGREEMENT)


@pytest.mark.parametrize(
    ("lowest", "limits"), [(0, (0, 8)), (-2, (-8, 8))], ids=["grey", "signed"]
)
def test_images_share_one_scale(lowest, limits):
    axes = plt.subplots(1, 2)[1]
    images = {"a": np.array([[lowest, 1.0]]), "b": np.array([[8.0, 0.0]])}

    drawings.draw_images(axes, images)

    assert [ax.images[0].get_clim() for ax in axes] == [limits, limits]
    assert [ax.get_title() for ax in axes] == ["a", "b"]


def test_numbers_of_pieces_stand_on_their_pieces():
    ax = plt.subplots()[1]
    # A ring, whose centre of mass is outside, and a dot
    pieces = np.zeros((7, 9), int)
    pieces[1:6, 1:6] = 1
    pieces[2:5, 2:5] = 0
    pieces[3, 7] = 2

    drawings.draw_pieces(ax, pieces)

    places = {text.get_text(): text.get_position() for text in ax.texts}
    assert {name: pieces[y, x] for name, (x, y) in places.items()} == {"1": 1, "2": 2}


def test_scenes_stand_above_their_maps_of_labels():
    axes = plt.subplots(2, 3)[1]
    images, labels = np.random.default_rng(0).random((3, 3, 4, 5)), np.eye(3, dtype=int)
    maps = np.stack([np.full((4, 5), row.argmax()) for row in labels])

    drawings.draw_scenes(axes, images, {"labels": maps})

    assert np.array_equal(shown_matrix(axes[0, 2]), images[2].transpose(1, 2, 0))
    assert [shown_matrix(ax).max() for ax in axes[1]] == [0, 1, 2]
    assert [texts(ax) for ax in axes[:, 0]] == [["image"], ["labels"]]
