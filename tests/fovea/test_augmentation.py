import pytest
import torch

from fovea.augmentation import add_noise, color_jitter, random_crop, random_flip

AUGMENTATIONS = [random_flip, random_crop, color_jitter, add_noise]


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def make_images(n=8, channels=3, **kind):
    return torch.rand(n, channels, 6, 5, generator=seeded(1), **kind)


@pytest.mark.parametrize("augment", AUGMENTATIONS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_shape_dtype_layout_range_and_the_input_stay(augment, dtype, layout):
    X = make_images().to(dtype).contiguous(memory_format=layout)
    before = X.clone()
    new = augment(X, seeded())

    assert torch.equal(X, before)
    assert not torch.equal(new, X)
    assert (new.shape, new.dtype, new.stride()) == (X.shape, dtype, X.stride())
    assert new.min() >= 0
    assert new.max() <= 1


@pytest.mark.parametrize("augment", AUGMENTATIONS)
@pytest.mark.parametrize("channels", [1, 3])
def test_generator_decides_and_each_image_differs(augment, channels):
    X = make_images(1, channels).expand(8, -1, -1, -1)

    assert torch.equal(augment(X, seeded()), augment(X, seeded()))
    assert not torch.equal(augment(X, seeded()), augment(X, seeded(1)))
    assert len(augment(X, seeded()).flatten(1).unique(dim=0)) > 1
    state = torch.get_rng_state()
    augment(X, seeded())
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("augment", AUGMENTATIONS)
def test_anything_but_a_batch_of_float_images_is_refused(augment):
    with pytest.raises(ValueError, match=r"shape \(3, 6, 5\).*expected images"):
        augment(make_images()[0], seeded())
    with pytest.raises(ValueError, match="uint8"):
        augment(torch.zeros(2, 3, 6, 5, dtype=torch.uint8), seeded())


def test_half_of_the_images_are_mirrored():
    X = make_images(2000)
    new = random_flip(X, seeded())
    mirrored = (new == X.flip(3)).all(dim=(1, 2, 3))

    assert torch.equal(new[~mirrored], X[~mirrored])
    # Five standard deviations of a fair coin
    assert abs(mirrored.sum() - 1000) < 5 * 500**0.5


@pytest.mark.parametrize("padding", [0, 1, 2, 7])
def test_crop_moves_each_image_by_its_own_offset(padding):
    # Each pixel holds its place, in two channels; no place is 0.
    rows, columns = torch.meshgrid(torch.arange(6), torch.arange(5), indexing="ij")
    X = (1 + torch.stack([rows, columns])).float().expand(5000, 2, 6, 5)
    new = random_crop(X, seeded(), padding)

    # From the largest number that is left, or else the image is all black
    seen = new[new.amax(dim=(1, 2, 3)) > 0]
    inside = seen[:, :1] > 0
    moved = X[: len(seen)] - seen
    offsets = moved.where(inside, torch.nan).flatten(2).nanmean(dim=2)
    # One move for all of an image: up or down and left or right
    assert torch.equal(
        moved.where(inside, 0), offsets[:, :, None, None].where(inside, 0)
    )
    if padding < 5:
        assert len(seen) == 5000
        size = 2 * padding + 1
        pairs = (offsets + padding).long() @ torch.tensor([size, 1])
        counts = torch.bincount(pairs, minlength=size**2)
        # All moves equally often, within five standard deviations
        assert len(counts) == size**2
        expected = 5000 / size**2
        assert (counts - expected).abs().max() <= 5 * expected**0.5


def test_colors_change_by_the_factors_promised():
    X = make_images(2000) / 4 + 0.375
    new = color_jitter(X, seeded(), strength=0.2)

    def grey(images):
        return images.mean(dim=1, keepdim=True)

    brightness = new.mean(dim=(1, 2, 3)) / X.mean(dim=(1, 2, 3))
    contrast = grey(new).std(dim=(1, 2, 3)) / grey(X).std(dim=(1, 2, 3))
    saturation = (new - grey(new)).std(dim=(1, 2, 3)) / (X - grey(X)).std(dim=(1, 2, 3))
    # Brightness scales all differences, contrast those of colours as well.
    factors = torch.stack([brightness, contrast / brightness, saturation / contrast])
    # Independent, within five standard deviations
    torch.testing.assert_close(factors.corrcoef(), torch.eye(3), atol=0.11, rtol=0)
    for factor in factors:
        assert 0.8 - 1e-4 <= factor.min() < 0.81
        assert 1.19 < factor.max() <= 1.2 + 1e-4
        # Uniform: the deviation of the mean is 0.4 / sqrt(12 * 2000).
        assert abs(factor.mean() - 1) < 0.013


def test_no_strength_changes_nothing():
    X = make_images()

    torch.testing.assert_close(color_jitter(X, seeded(), strength=0), X)
    assert torch.equal(add_noise(X, seeded(), sigma=0), X)
    assert torch.equal(random_crop(X, seeded(), padding=0), X)


def test_noise_has_the_deviation_asked_for():
    X = torch.full((100, 1, 20, 20), 0.5)
    noise = add_noise(X, seeded(), sigma=0.05) - X

    # 40,000 numbers: within 2 % and 0.02 deviations
    assert abs(noise.std() - 0.05) < 0.001
    assert abs(noise.mean()) < 0.001
    assert add_noise(X, seeded(), sigma=5).unique().numel() > 2


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
@pytest.mark.parametrize("augment", AUGMENTATIONS)
def test_on_cuda_with_a_generator_here_or_there(augment):
    X = make_images().cuda()

    here, there = augment(X.cpu(), seeded()), augment(X, seeded())
    torch.testing.assert_close(there.cpu(), here)
    assert augment(X, torch.Generator("cuda")).is_cuda
