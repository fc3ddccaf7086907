"""Trained networks to look into and to build on; both take RGB images in [0, 1]."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from fovea.downloads import fetch

# (in, squeezed, expanded) channels of the fire modules; None is a pooling
_FIRES = [(96, 16, 64), (128, 16, 64), (128, 32, 128), None, (256, 32, 128)]
_FIRES += [(256, 48, 192), (384, 48, 192), (384, 64, 256), None, (512, 64, 256)]


def squeezenet(pretrained: bool = True) -> "SqueezeNet":
    """Return SqueezeNet 1.0 (F. Iandola et al., 2016) for ImageNet's 1,000 classes.

    Pretrained (then in evaluation mode) on squares of 227 pixels, from the middle of
    photographs with a short side of 256. Each weight of the file that is not zero is a
    byte, the index in a table of 256 values, and half a byte, the gap to the next: 676
    kB in all (S. Han et al., 2016). Raises ``DataError`` without the file.
    """
    model = SqueezeNet()
    if not pretrained:
        return model
    convs = [(n, m) for n, m in model.named_modules() if isinstance(m, nn.Conv2d)]
    state = {}
    with fetch("weights/compressed_SqueezeNet.net").open("rb") as file:
        counts = np.fromfile(file, "<u4", len(convs)).tolist()
        for (name, conv), count in zip(convs, counts, strict=True):
            table = np.fromfile(file, "<f4", 256)
            bias = np.fromfile(file, "<f4", conv.out_channels)
            codes = np.fromfile(file, np.uint8, count)
            pairs = np.fromfile(file, np.uint8, (count + 1) // 2)
            gaps = np.stack([pairs & 15, pairs >> 4], axis=1).ravel()[:count]
            weight = np.zeros(conv.weight.shape, np.float32)
            weight.flat[np.cumsum(gaps + 1, dtype=np.int64) - 1] = table[codes]
            state[f"{name}.weight"] = torch.from_numpy(weight)
            state[f"{name}.bias"] = torch.from_numpy(bias)
    model.load_state_dict(state)
    return model.eval()


def imagenet_classes() -> tuple[str, ...]:
    """Return the names of SqueezeNet's 1,000 classes, in the order of its logits."""
    return tuple(fetch("weights/imagenet_classes.txt").read_text("utf-8").splitlines())


def resnet20(pretrained: bool = True) -> "ResNet20":
    """Return the ResNet of 20 layers for CIFAR-10 (K. He et al., 2016).

    Pretrained by Y. Idelbayev (then in evaluation mode), 91.8 % of test right by his
    account. Raises ``DataError`` without the file.
    """
    model = ResNet20()
    if not pretrained:
        return model
    path = fetch("weights/resnet20-12fca82f.th")
    state = torch.load(path, map_location="cpu", weights_only=True)["state_dict"]
    # It was trained in parallel, which puts "module." before each name.
    model.load_state_dict({k.removeprefix("module."): v for k, v in state.items()})
    return model.eval()


class _Fire(nn.Module):
    def __init__(self, num_in: int, num_squeezed: int, num_out: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(num_in, num_squeezed, 1)
        self.expand1x1 = nn.Conv2d(num_squeezed, num_out, 1)
        self.expand3x3 = nn.Conv2d(num_squeezed, num_out, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.relu(self.squeeze(x))
        return F.relu(torch.cat([self.expand1x1(x), self.expand3x3(x)], dim=1))


class SqueezeNet(nn.Module):
    """Images ``(N, 3, H, W)`` to logits ``(N, 1000)``."""

    def __init__(self) -> None:
        super().__init__()
        fires = (_Fire(*channels) if channels else _pool() for channels in _FIRES)
        conv = nn.Conv2d(3, 96, 7, stride=2)
        self.features = nn.Sequential(conv, nn.ReLU(), _pool(), *fires)
        # The padding of a 1×1 convolution: as published
        conv, pool = nn.Conv2d(512, 1000, 1, padding=1), nn.AdaptiveAvgPool2d(1)
        layers = nn.Dropout(), conv, nn.ReLU(), pool, nn.Flatten()
        self.classifier = nn.Sequential(*layers)
        self.mean = nn.Buffer(_per_channel(104.0, 117.0, 123.0), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        # It was trained on blue, green, red from 0 to 255, less their means.
        return self.classifier(self.features(255 * x.flip(1) - self.mean))


def _pool() -> nn.Module:
    return nn.MaxPool2d(3, 2, ceil_mode=True)


def _per_channel(*values: float) -> torch.Tensor:
    return torch.tensor(values).view(3, 1, 1)


class _Block(nn.Module):
    def __init__(self, num_in: int, num_out: int) -> None:
        super().__init__()
        self.stride, self.num_new = num_out // num_in, num_out - num_in
        self.conv1 = nn.Conv2d(num_in, num_out, 3, self.stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(num_out)
        self.conv2 = nn.Conv2d(num_out, num_out, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(num_out)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        # Every other pixel, and new channels of zeros around the old ones
        x = x[:, :, :: self.stride, :: self.stride]
        return F.relu(y + F.pad(x, (0, 0, 0, 0, self.num_new // 2, self.num_new // 2)))


class ResNet20(nn.Module):
    """Images ``(N, 3, 32, 32)`` to logits ``(N, 10)``."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1 = nn.Sequential(*(_Block(16, 16) for _ in range(3)))
        self.layer2 = nn.Sequential(_Block(16, 32), _Block(32, 32), _Block(32, 32))
        self.layer3 = nn.Sequential(_Block(32, 64), _Block(64, 64), _Block(64, 64))
        self.linear = nn.Linear(64, 10)
        self.mean = nn.Buffer(_per_channel(0.485, 0.456, 0.406), persistent=False)
        self.std = nn.Buffer(_per_channel(0.229, 0.224, 0.225), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.relu(self.bn1(self.conv1((x - self.mean) / self.std)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.linear(x.mean(dim=(2, 3)))
