import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from fovea.figures import saliency as drawings


@pytest.fixture(autouse=True)
def fresh_figures():
    with plt.style.context("default"):
        yield
    plt.close("all")


@pytest.fixture
def ax():
    return plt.subplots()[1]


def stages(depth):
    layers = []
    for _ in range(depth):
        layers += [nn.Conv2d(1, 1, 3, padding=1, bias=False), nn.AvgPool2d(2)]
    model = nn.Sequential(*layers[:-1]).double()
    for parameter in model.parameters():
        nn.init.ones_(parameter)
    return model


@pytest.mark.parametrize(
    ("depth", "field", "step"), [(1, 3, 1), (2, 8, 2), (3, 18, 4), (4, 38, 8)]
)
def test_patch_is_what_its_cell_depends_on(depth, field, step):
    model, rng = stages(depth), np.random.default_rng(depth)
    images = rng.uniform(1, 2, (2, 1, 32, 32))
    side = 32 // step
    row, column = side // 2, side - 1
    cut = drawings.cut_patches(images, [1], [row], [column], field, step)[0, 0]

    tensor = torch.tensor(images, requires_grad=True)
    model(tensor)[1, 0, row, column].backward()
    seen = torch.nonzero(tensor.grad[1, 0])
    assert {images[1, 0, i, j] for i, j in seen.tolist()} == set(cut[cut != 1])
    assert len(cut) == field


def test_first_cells_patch_has_white_beyond_the_corner():
    images = np.zeros((1, 3, 8, 8))
    cut = drawings.cut_patches(images, [0], [0], [0], field=3, step=1)

    assert cut.shape == (1, 3, 3, 3)
    assert (cut[0, :, 1:, 1:] == 0).all()
    assert (cut[0, :, 0] == 1).all()
    assert (cut[0, :, :, 0] == 1).all()


def test_mosaic_shows_nine_patches_row_by_row(ax):
    levels = np.linspace(0.1, 0.9, 9)
    patches = np.broadcast_to(levels[:, None, None, None], (9, 3, 3, 3))

    drawings.draw_mosaic(ax, patches)

    canvas = ax.images[0].get_array()
    side = len(canvas)
    middles = [side // 6, side // 2, side - side // 6]
    shown = [canvas[i, j, 0] for i in middles for j in middles]
    assert np.allclose(shown, levels)


@pytest.mark.parametrize(
    ("values", "limits", "cmap"),
    [
        ([[0, 2], [1, 4]], (0, 4), "inferno"),
        ([[-3, 2], [1, 0]], (-3, 3), "RdBu_r"),
        ([[0, 0], [0, 0]], (0, 1), "inferno"),
    ],
    ids=["magnitudes", "signed", "zero"],
)
def test_zero_has_a_fixed_place_in_a_maps_colours(ax, values, limits, cmap):
    drawings.draw_map(ax, torch.tensor(values))

    assert ax.images[0].get_clim() == limits
    assert ax.images[0].get_cmap().name == cmap


def test_map_is_clipped_at_high_and_outlines_the_object(ax):
    outline = torch.zeros(4, 4, dtype=bool)
    drawings.draw_map(ax, torch.ones(4, 4), outline=outline, high=0.5)
    assert ax.images[0].get_clim() == (0, 0.5)
    assert not ax.collections

    outline[1:3, 1:3] = True
    drawings.draw_map(ax, torch.ones(4, 4), outline=outline)
    assert ax.collections


def test_a_blocks_probability_lies_in_the_blocks_middle(ax):
    size, stride, side = 6, 2, 32
    count = (side - size) // stride + 1
    drawings.draw_probs(ax, np.ones((count, count)), side, size, stride)

    left, right, bottom, top = ax.images[0].get_extent()
    cell = (right - left) / count
    assert cell == stride == (bottom - top) / count
    # Pixels 0 to 5 lie around 2.5.
    assert left + cell / 2 == top + cell / 2 == (size - 1) / 2
    assert ax.get_xlim() == (-0.5, side - 0.5)


def test_shares_are_stacked_in_order_and_written_beside(ax):
    drawings.draw_shares(ax, {"a": (0.5, 0.25), "b": (0.1, 0.0)})

    bars = [(bar.get_x(), bar.get_width()) for bar in ax.patches]
    assert bars == [(0, 50), (0, 10), (50, 25), (10, 0)]
    assert [text.get_text() for text in ax.texts[:2]] == ["50 + 25", "10 + 0"]
    low, high = ax.get_ylim()
    assert low > high


def test_every_point_is_shown_under_its_label(ax):
    points, labels = np.arange(10.0).reshape(5, 2), np.array([0, 1, 0, 2, 1])

    drawings.draw_points(ax, points, labels, "abc", legend=True)

    for k, shown in enumerate(ax.collections):
        assert np.array_equal(shown.get_offsets(), points[labels == k])
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["a", "b", "c"]


def test_image_beyond_its_range_is_cut_off_in_silence(ax, caplog):
    drawings.draw_image(ax, np.full((3, 2, 2), 1.5))

    assert (ax.images[0].get_array() == 1).all()
    # Matplotlib would cut it off, too, and say so on stderr.
    assert not caplog.records


def test_maps_beside_an_image_have_scales_of_their_own():
    axes = plt.subplots(1, 3)[1]
    maps = {"a": np.linspace(0, 1, 101)[None], "b": -np.linspace(0, 4, 101)[None]}

    drawings.draw_maps(axes, np.zeros((3, 2, 2)), "image", maps, percentile=50)

    assert [ax.get_title() for ax in axes] == ["image", "a", "b"]
    assert axes[1].images[0].get_clim() == (0, 0.5)
    assert axes[2].images[0].get_clim() == (-2, 2)


@pytest.mark.parametrize("size", [(512, 400), (300, 451)], ids=["wide", "high"])
def test_photographs_are_cut_from_the_middle(size, tmp_path, monkeypatch):
    # Brightness grows along the longer side, so that the middle is 0.5.
    width, height = size
    ramp = np.linspace(0, 255, max(size)).astype(np.uint8)
    image = np.broadcast_to(ramp if width > height else ramp[:, None], (height, width))
    (tmp_path / "images").mkdir()
    path = tmp_path / "images" / drawings.PHOTOGRAPHS[0]
    Image.fromarray(np.ascontiguousarray(image)).save(path)
    monkeypatch.setenv("FOVEA_DATA", str(tmp_path))

    photos = drawings.load_photographs()

    assert photos.shape == (1, 3, 227, 227)
    assert photos.dtype == np.float32
    assert abs(photos[0, 0, 113, 113] - 0.5) < 0.01
    span = 227 / (max(size) * 256 / min(size))
    assert abs(np.ptp(photos) - span) < 0.02


def test_without_a_folder_photographs_are_those_of_scikit_learn(monkeypatch):
    monkeypatch.delenv("FOVEA_DATA", raising=False)

    photos = drawings.load_photographs()

    assert photos.shape == (2, 3, 227, 227)
    assert 0 <= photos.min() < 0.1 < 0.9 < photos.max() <= 1
