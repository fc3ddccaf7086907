import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from fovea import models
from fovea.data import load

FOLDER = Path(os.environ.get("FOVEA_DATA", ""))
needs_files = pytest.mark.skipif(
    not (FOLDER / "weights").is_dir(),
    reason="FOVEA_DATA does not name a folder with the real files",
)


def test_networks_have_the_published_sizes():
    def count(model):
        return sum(parameter.numel() for parameter in model.parameters())

    # The papers say 1.25 and 0.27 million.
    assert count(models.squeezenet(pretrained=False)) == 1_248_424
    assert count(models.resnet20(pretrained=False)) == 269_722


@pytest.mark.parametrize(
    ("make", "size", "classes"),
    [(models.squeezenet, 227, 1000), (models.resnet20, 32, 10)],
)
def test_logits_and_gradients_come_out(make, size, classes):
    torch.manual_seed(0)
    model = make(pretrained=False)
    assert model.training
    logits = model(torch.rand(2, 3, size, size))

    assert logits.shape == (2, classes)
    logits.square().sum().backward()
    assert all(p.grad.isfinite().all() for p in model.parameters())


def test_weights_are_packed_as_the_docstring_says(tmp_path, monkeypatch):
    # Each layer: one weight, codes[1] of the table, after two fillers of 16 zeros
    layers = [
        m for m in models.SqueezeNet().modules() if isinstance(m, torch.nn.Conv2d)
    ]
    counts = np.full(len(layers), 3, "<u4").tobytes()
    table = np.array([0, 0.5] + [9] * 254, "<f4").tobytes()
    packed = b"".join(
        table
        + np.full(m.out_channels, i, "<f4").tobytes()
        + bytes([0, 0, 1, 0xFF, 0x02])
        for i, m in enumerate(layers)
    )
    (tmp_path / "a.net").write_bytes(counts + packed)
    monkeypatch.setattr(models, "fetch", lambda name: tmp_path / "a.net")
    model = models.squeezenet()

    assert not model.training
    found = [m for m in model.modules() if isinstance(m, torch.nn.Conv2d)]
    for i, conv in enumerate(found):
        assert conv.weight.flatten().nonzero().tolist() == [[16 + 16 + 3 - 1]]
        assert conv.weight.flatten()[34] == 0.5
        assert conv.bias.unique().tolist() == [i]


def test_file_with_code_in_it_is_refused(tmp_path, monkeypatch):
    torch.save({"state_dict": subprocess.run}, tmp_path / "evil.th")
    monkeypatch.setattr(models, "fetch", lambda name: tmp_path / "evil.th")

    with pytest.raises(Exception, match="Weights only load failed"):
        models.resnet20()


@needs_files
@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("chelsea.png", "Egyptian cat"),
        ("coffee.png", "espresso"),
        ("swan-3299528_1280.jpg", "goose"),
    ],
)
def test_squeezenet_names_what_photographs_show(file, name):
    X = read_photograph(FOLDER / "images" / file)
    with torch.no_grad():
        logits = models.squeezenet()(X)

    assert models.imagenet_classes()[logits.argmax()] == name


@needs_files
def test_resnet20_recognises_the_test_images():
    model, test = models.resnet20(), load("cifar10").test.head(400)
    with torch.no_grad():
        logits = torch.cat([model(X) for X, _ in test.batches(100)])

    assert (logits.argmax(1).numpy() == test.y).mean() > 0.9


def read_photograph(path):
    image = Image.open(path).convert("RGB")
    scale = 256 / min(image.size)
    image = image.resize([round(scale * side) for side in image.size])
    left, top = ((side - 227) // 2 for side in image.size)
    image = image.crop((left, top, left + 227, top + 227))
    return torch.from_numpy(np.array(image) / np.float32(255)).permute(2, 0, 1)[None]
