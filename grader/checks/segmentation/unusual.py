"""Topic 09, right answers that look unlike the usual ones, to sample a class from.

``UNUSUAL`` maps a group of functions that belong together to answers, each of them the
functions of that group under the names that the notebook gives them. They need no more
than what the notebook imports as ``np``, ``torch``, ``F`` and ``nn``.
"""

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from grader.checks.unusual import collect_into

UNUSUAL: dict[str, list[tuple[Callable, ...]]] = {}
_unusual = collect_into(UNUSUAL)


@_unusual
def unpool_nearest__by_indexing():
    def unpool_nearest(x, factor):
        rows = torch.arange(factor * x.shape[2]) // factor
        columns = torch.arange(factor * x.shape[3]) // factor
        return x.detach()[:, :, rows][:, :, :, columns]

    return (unpool_nearest,)


@_unusual
def bed_of_nails__by_products():
    def bed_of_nails(x, factor):
        with torch.no_grad():
            nail = torch.zeros(factor, factor, dtype=x.dtype)
            nail[0, 0] = 1
            return torch.kron(x, nail[None, None])

    return (bed_of_nails,)


@_unusual
def max_unpool__by_loops():
    def max_unpool(x, indices, size):
        N, C, h, w = x.shape
        out = torch.zeros(N, C, *size, dtype=x.dtype)
        for n in range(N):
            for c in range(C):
                for i in range(h):
                    for j in range(w):
                        place = indices[n, c, i, j].item()
                        row, column = place // size[1], place % size[1]
                        out[n, c, row, column] = x[n, c, i, j].item()
        return out

    return (max_unpool,)


@_unusual
def conv_matrix__by_unit_images():
    def conv_matrix(kernel, size, stride=1, padding=0):
        shape = (size,) if kernel.ndim == 1 else tuple(size)
        num = int(np.prod(shape))
        units = torch.eye(num, dtype=kernel.dtype).reshape(num, 1, *shape)
        convolve = F.conv1d if kernel.ndim == 1 else F.conv2d
        w = kernel.detach()[None, None]
        return convolve(units, w, stride=stride, padding=padding).flatten(1).T

    return (conv_matrix,)


@_unusual
def conv_transpose2d_naive__number_by_number():
    def conv_transpose2d_naive(x, w, b, stride=1, padding=0):
        with torch.no_grad():
            N, Ci, H, W = x.shape
            Co, kh, kw = w.shape[1:]
            big = x.new_zeros(N, Co, (H - 1) * stride + kh, (W - 1) * stride + kw)
            for n, i, j in np.ndindex(N, H, W):
                for u, v in np.ndindex(kh, kw):
                    big[n, :, i * stride + u, j * stride + v] += (
                        x[n, :, i, j] @ w[:, :, u, v]
                    )
            rows = range(padding, big.shape[2] - padding)
            columns = range(padding, big.shape[3] - padding)
            return big[:, :, rows][:, :, :, columns] + b.view(1, -1, 1, 1)

    return (conv_transpose2d_naive,)


@_unusual
def fc_to_conv__by_parameters():
    def fc_to_conv(linear, in_shape):
        bias = linear.bias is not None
        conv = nn.Conv2d(in_shape[0], linear.out_features, in_shape[1:], bias=bias)
        conv.weight = nn.Parameter(linear.weight.detach().clone().view(-1, *in_shape))
        if bias:
            conv.bias = nn.Parameter(linear.bias.detach().clone())
        return conv

    return (fc_to_conv,)


@_unusual
def SegNet__two_levels():
    class SegNet(nn.Module):
        def __init__(self, in_channels, num_classes):
            super().__init__()
            self.a = nn.Conv2d(in_channels, 8, 5, padding=2)
            self.b = nn.Conv2d(8, 12, 3, padding=1)
            self.c = nn.Conv2d(12, 8, 3, padding=1)
            self.d = nn.Conv2d(8, num_classes, 5, padding=2)
            self.pool = nn.MaxPool2d(2, return_indices=True)
            self.unpool = nn.MaxUnpool2d(2)

        def forward(self, x):
            large = torch.relu(self.a(x))
            middle, first = self.pool(large)
            middle = torch.relu(self.b(middle))
            small, second = self.pool(middle)
            up = torch.relu(self.c(self.unpool(small, second, middle.size())))
            return self.d(self.unpool(up, first, large.size()))

    return (SegNet,)


@_unusual
def UNet__transposed():
    class UNet(nn.Module):
        def __init__(self, in_channels, num_classes, skips=True):
            super().__init__()
            self.skips = skips
            self.one = nn.Conv2d(in_channels, 8, 3, padding=1)
            self.two = nn.Conv2d(8, 16, 3, padding=1)
            self.three = nn.Conv2d(16, 32, 3, padding=1)
            self.up_two = nn.ConvTranspose2d(32, 16, 2, stride=2)
            self.up_one = nn.ConvTranspose2d(16, 8, 2, stride=2)
            self.join_two = nn.Conv2d(32 if skips else 16, 16, 3, padding=1)
            self.join_one = nn.Conv2d(16 if skips else 8, 8, 3, padding=1)
            self.last = nn.Conv2d(8, num_classes, 1)

        def join(self, up, skip):
            # the last row and column again where one is missing
            more = skip.shape[3] - up.shape[3], skip.shape[2] - up.shape[2]
            up = F.pad(up, (0, more[0], 0, more[1]), mode="replicate")
            return torch.cat((skip, up), dim=1) if self.skips else up

        def forward(self, x):
            one = self.one(x).relu()
            two = self.two(F.avg_pool2d(one, 2)).relu()
            three = self.three(F.avg_pool2d(two, 2)).relu()
            x = self.join_two(self.join(self.up_two(three), two)).relu()
            return self.last(self.join_one(self.join(self.up_one(x), one)).relu())

    return (UNet,)


@_unusual
def mean_iou__by_sets():
    def mean_iou(pred, target, num_classes, ignore_index=None):
        pairs = zip(pred.flatten().tolist(), target.flatten().tolist(), strict=True)
        pairs = [pair for pair in pairs if pair[1] != ignore_index]
        ious = []
        for k in range(num_classes):
            both = sum(p == t == k for p, t in pairs)
            either = sum(k in pair for pair in pairs)
            if either:
                ious.append(both / either)
        return float(np.mean(ious)) if ious else np.nan

    return (mean_iou,)


@_unusual
def class_weights__by_unique():
    def class_weights(target, num_classes, ignore_index=None):
        labels, counts = np.unique(target.numpy(), return_counts=True)
        found = {k: n for k, n in zip(labels, counts, strict=True) if k != ignore_index}
        weights = torch.zeros(num_classes)
        for k, n in found.items():
            weights[k] = sum(found.values()) / (len(found) * n)
        return weights

    return (class_weights,)


@_unusual
def pixel_loss__on_a_list():
    def pixel_loss(scores, target, weights=None, ignore_index=None):
        rows, labels = scores.movedim(1, -1).flatten(0, 2), target.flatten()
        if ignore_index is not None:
            counted = labels != ignore_index
            rows, labels = rows[counted], labels[counted]
        losses = rows.logsumexp(1) - rows[torch.arange(len(rows)), labels]
        if weights is None:
            return losses.mean()
        return (weights[labels] * losses).sum() / weights[labels].sum()

    return (pixel_loss,)
