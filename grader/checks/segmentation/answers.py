"""Topic 09, compact right answers: what the mistakes are edits of."""

import torch
import torch.nn.functional as F
from torch import nn


def unpool_nearest(x, factor):
    x = x.detach()
    tall = x.repeat_interleave(factor, dim=2)
    return tall.repeat_interleave(factor, dim=3)


def bed_of_nails(x, factor):
    x = x.detach()
    N, C, H, W = x.shape
    out = x.new_zeros(N, C, factor * H, factor * W)
    out[:, :, ::factor, ::factor] = x
    return out


def max_unpool(x, indices, size):
    x = x.detach()
    N, C, _, _ = x.shape
    H, W = size
    out = x.new_zeros(N, C, H * W)
    out.scatter_(2, indices.flatten(2), x.flatten(2))
    return out.reshape(N, C, H, W)


def conv_matrix(kernel, size, stride=1, padding=0):
    kernel = kernel.detach()
    s, p = stride, padding
    if kernel.ndim == 1:
        (k,) = kernel.shape
        n = (size + 2 * p - k) // s + 1
        padded = kernel.new_zeros(n, size + 2 * p)
        for i in range(n):
            padded[i, i * s : i * s + k] = kernel
        return padded[:, p : p + size].clone()
    (kh, kw), (H, W) = kernel.shape, size
    rows, cols = (H + 2 * p - kh) // s + 1, (W + 2 * p - kw) // s + 1
    padded = kernel.new_zeros(rows, cols, H + 2 * p, W + 2 * p)
    for i in range(rows):
        for j in range(cols):
            padded[i, j, i * s : i * s + kh, j * s : j * s + kw] = kernel
    inside = padded[:, :, p : p + H, p : p + W]
    return inside.reshape(rows * cols, H * W).clone()


def conv_transpose2d_naive(x, w, b, stride=1, padding=0):
    x, w, b = x.detach(), w.detach(), b.detach()
    s, p = stride, padding
    (N, _, H, W), (_, Co, kh, kw) = x.shape, w.shape
    high, wide = (H - 1) * s + kh, (W - 1) * s + kw
    out = x.new_zeros(N, Co, high, wide)
    for i in range(H):
        for j in range(W):
            stamps = torch.einsum("nc,cduv->nduv", x[:, :, i, j], w)
            out[:, :, i * s : i * s + kh, j * s : j * s + kw] += stamps
    out = out[:, :, p : high - p, p : wide - p]
    return out + b[:, None, None]


def fc_to_conv(linear, in_shape):
    C, H, W = in_shape
    num_out, has_bias = linear.out_features, linear.bias is not None
    dtype = linear.weight.dtype
    conv = nn.Conv2d(C, num_out, (H, W), bias=has_bias, dtype=dtype)
    with torch.no_grad():
        conv.weight.copy_(linear.weight.reshape(num_out, C, H, W))
        if has_bias:
            conv.bias.copy_(linear.bias)
    return conv


class SegNet(nn.Module):
    def __init__(self, in_channels, num_classes):
        super().__init__()

        def layer(c_in, c_out):
            conv = nn.Conv2d(c_in, c_out, 3, padding=1)
            return nn.Sequential(conv, nn.BatchNorm2d(c_out), nn.ReLU())

        ins, outs = (in_channels, 8, 12), (8, 12, 16)
        self.encoder = nn.ModuleList(map(layer, ins, outs))
        self.decoder = nn.ModuleList(map(layer, (16, 12, 8), (12, 8, 8)))
        self.head = nn.Conv2d(8, num_classes, 1)

    def forward(self, x):
        kept = []
        for encode in self.encoder:
            x = encode(x)
            size = x.shape[2:]
            x, indices = F.max_pool2d(x, 2, return_indices=True)
            kept.append((indices, size))
        for decode in self.decoder:
            indices, size = kept.pop()
            x = F.max_unpool2d(x, indices, 2, output_size=size)
            x = decode(x)
        return self.head(x)


class UNet(nn.Module):
    def __init__(self, in_channels, num_classes, skips=True):
        super().__init__()

        def block(c_in, c_out):
            conv = nn.Conv2d(c_in, c_out, 3, padding=1)
            return nn.Sequential(conv, nn.BatchNorm2d(c_out), nn.ReLU())

        self.skips = skips
        self.top, self.middle = block(in_channels, 8), block(8, 12)
        self.low, self.bottom = block(12, 16), block(16, 20)
        self.from_bottom = block(20 + 16 * skips, 16)
        self.from_low = block(16 + 12 * skips, 12)
        self.from_middle = block(12 + 8 * skips, 8)
        self.head = nn.Conv2d(8, num_classes, 1)

    def join(self, below, skip):
        size = skip.shape[2:]
        below = F.interpolate(below, size)
        return torch.cat([skip, below], 1) if self.skips else below

    def forward(self, x):
        top = self.top(x)
        middle = self.middle(F.max_pool2d(top, 2))
        low = self.low(F.max_pool2d(middle, 2))
        x = self.bottom(F.max_pool2d(low, 2))
        x = self.from_bottom(self.join(x, low))
        x = self.from_low(self.join(x, middle))
        x = self.from_middle(self.join(x, top))
        return self.head(x)


def mean_iou(pred, target, num_classes, ignore_index=None):
    if ignore_index is not None:
        counted = target != ignore_index
        pred, target = pred[counted], target[counted]
    ious = []
    for k in range(num_classes):
        in_pred, in_target = pred == k, target == k
        both = (in_pred & in_target).sum().item()
        either = (in_pred | in_target).sum().item()
        if either > 0:
            ious.append(both / either)
    return sum(ious) / len(ious) if ious else float("nan")


def class_weights(target, num_classes, ignore_index=None):
    labels = target.flatten()
    if ignore_index is not None:
        labels = labels[labels != ignore_index]
    counts = torch.bincount(labels, minlength=num_classes).float()
    present = (counts > 0).sum()
    weights = counts.sum() / (present * counts)
    return torch.where(counts > 0, weights, torch.zeros(()))


def pixel_loss(scores, target, weights=None, ignore_index=None):
    counted = torch.ones_like(target, dtype=torch.bool)
    if ignore_index is not None:
        counted = target != ignore_index
    labels = torch.where(counted, target, 0)
    top = scores.max(dim=1, keepdim=True).values
    shifted = scores - top
    log_probs = shifted - shifted.exp().sum(dim=1, keepdim=True).log()
    losses = -log_probs.gather(1, labels[:, None])[:, 0]
    if weights is None:
        weights = scores.new_ones(scores.shape[1])
    factors = weights[labels] * counted
    return (factors * losses).sum() / factors.sum()
