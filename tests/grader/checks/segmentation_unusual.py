"""Topic 09: right answers that look unlike ours."""

import math
from fractions import Fraction

import numpy as np
import scipy.linalg
import torch
import torch.nn.functional as F
from torch import nn

UNUSUAL: dict[str, dict[str, tuple]] = {}


def unusual(exercise):
    def add(function):
        UNUSUAL.setdefault(exercise, {})[function.__name__] = (function,)
        return function

    return add


# --- upsampling ---


@unusual("unpool_nearest")
@torch.no_grad()
def by_kronecker(x, factor):
    return torch.kron(x, torch.ones(1, 1, factor, factor, dtype=x.dtype))


@unusual("unpool_nearest")
def by_indexing(x, factor):
    rows = torch.arange(factor * x.shape[2]) // factor
    columns = torch.arange(factor * x.shape[3]) // factor
    return x.detach()[..., rows[:, None], columns]


@unusual("unpool_nearest")
def by_numpy(x, factor):
    return torch.tensor(np.asarray(x.detach()).repeat(factor, 2).repeat(factor, 3))


@unusual("unpool_nearest")
def by_interpolate(x, factor):
    return F.interpolate(x.data, scale_factor=factor, mode="nearest-exact").clone()


@unusual("bed_of_nails")
@torch.no_grad()
def by_pixel_shuffle(x, factor):
    blocks = x.new_zeros(*x.shape[:2], factor**2, *x.shape[2:])
    blocks[:, :, 0] = x
    return F.pixel_shuffle(blocks.flatten(1, 2), factor)


@unusual("bed_of_nails")
def nail_by_nail(x, factor):
    x = x.clone().detach()
    out = torch.zeros(*x.shape[:2], *(factor * n for n in x.shape[2:])).type_as(x)
    for i, j in np.ndindex(*x.shape[2:]):
        out[:, :, factor * i, factor * j] = x[:, :, i, j]
    return out


@unusual("bed_of_nails")
def masked(x, factor):
    tall = by_kronecker(x, factor)
    rows, columns = (torch.arange(n) % factor == 0 for n in tall.shape[2:])
    return tall * (rows[:, None] & columns)


@unusual("max_unpool")
def by_loops(x, indices, size):
    out = x.new_zeros(*x.shape[:2], *size)
    for n, c, i, j in np.ndindex(*x.shape):
        out[(n, c, *divmod(indices[n, c, i, j].item(), size[1]))] = x[n, c, i, j].item()
    return out


@unusual("max_unpool")
def by_one_hot(x, indices, size):
    hot = F.one_hot(indices.flatten(2), math.prod(size)).to(x.dtype)
    return torch.einsum("nck,nckp->ncp", x.detach().flatten(2), hot).unflatten(2, size)


@unusual("max_unpool")
def by_torch(x, indices, size):
    """PyTorch's, on a list of numbers, where no window is checked."""
    flat, places = x.detach().flatten(2), indices.flatten(2)
    out = torch.zeros(flat.shape[:2] + (size[0] * size[1],), dtype=x.dtype)
    n, c = torch.meshgrid(*map(torch.arange, flat.shape[:2]), indexing="ij")
    out[n[..., None], c[..., None], places] = flat
    return out.view(*x.shape[:2], *tuple(size))


# --- convolutions as matrices, and transposed ---


@unusual("conv_matrix")
@torch.no_grad()
def by_unit_images(kernel, size, stride=1, padding=0):
    shape = size if kernel.ndim == 2 else (size,)
    units = torch.eye(math.prod(shape), dtype=kernel.dtype).reshape(-1, 1, *shape)
    convolve = {1: F.conv1d, 2: F.conv2d}[kernel.ndim]
    out = convolve(units, kernel[None, None], stride=stride, padding=padding)
    return out.flatten(1).T.clone()


def toeplitz(kernel, size, stride, padding):
    out = (size + 2 * padding - len(kernel)) // stride + 1
    first_row = np.r_[kernel, np.zeros(size + 2 * padding - len(kernel))]
    first_column = np.r_[kernel[:1], np.zeros(size + 2 * padding - len(kernel))]
    full = scipy.linalg.toeplitz(first_column, first_row)
    return full[::stride, padding : padding + size][:out]


@unusual("conv_matrix")
def by_toeplitz_blocks(kernel, size, stride=1, padding=0):
    """A sum of Kronecker products: for each row of the kernel, where it goes."""
    taps = kernel.detach().numpy()
    if taps.ndim == 1:
        return torch.tensor(toeplitz(taps, size, stride, padding)).to(kernel.dtype)
    matrix = 0
    for u, row in enumerate(taps):
        at = np.eye(len(taps))[u]
        down = toeplitz(at, size[0], stride, padding)
        matrix = matrix + np.kron(down, toeplitz(row, size[1], stride, padding))
    return torch.tensor(matrix, dtype=kernel.dtype)


@unusual("conv_matrix")
def entry_by_entry(kernel, size, stride=1, padding=0):
    taps = kernel.detach().reshape(-1, kernel.shape[-1])
    H, W = (1, size) if kernel.ndim == 1 else size
    pads = (0, padding) if kernel.ndim == 1 else (padding, padding)
    outs = [
        (n + 2 * p - k) // stride + 1
        for n, p, k in zip((H, W), pads, taps.shape, strict=True)
    ]
    if kernel.ndim == 1:
        outs[0] = 1
    matrix = torch.zeros(outs[0] * outs[1], H * W, dtype=kernel.dtype)
    for i, j, u, v in np.ndindex(*outs, *taps.shape):
        row, column = i * stride + u - pads[0], j * stride + v - pads[1]
        if 0 <= row < H and 0 <= column < W:
            matrix[i * outs[1] + j, row * W + column] = taps[u, v]
    return matrix


@unusual("conv_transpose2d_naive")
@torch.no_grad()
def by_the_matrix(x, w, b, stride=1, padding=0):
    Ci, Co, kh, kw = w.shape
    H = (x.shape[2] - 1) * stride + kh - 2 * padding
    W = (x.shape[3] - 1) * stride + kw - 2 * padding
    out = b[:, None, None].expand(len(x), Co, H, W).clone()
    for i, o in np.ndindex(Ci, Co):
        M = by_unit_images(w[i, o], (H, W), stride, padding)
        out[:, o] += (x[:, i].flatten(1) @ M).reshape(-1, H, W)
    return out


@unusual("conv_transpose2d_naive")
def by_flipped_convolution(x, w, b, stride=1, padding=0):
    """A bed of nails, then a convolution with the flipped kernel."""
    x, w, b = (t.detach() for t in (x, w, b))
    (N, Ci, H, W), (kh, kw) = x.shape, w.shape[2:]
    nails = torch.zeros(
        N, Ci, (H - 1) * stride + 1, (W - 1) * stride + 1, dtype=x.dtype
    )
    nails[:, :, ::stride, ::stride] = x
    wide = F.pad(nails, (kw - 1, kw - 1, kh - 1, kh - 1))
    out = F.conv2d(wide, w.flip(-1, -2).swapaxes(0, 1), b)
    h, v = out.shape[2:]
    return out[:, :, padding : h - padding, padding : v - padding].contiguous()


@unusual("conv_transpose2d_naive")
def by_gradient(x, w, b, stride=1, padding=0):
    """It is the gradient of a convolution."""
    size = [
        (n - 1) * stride + k - 2 * padding
        for n, k in zip(x.shape[2:], w.shape[2:], strict=True)
    ]
    image = torch.zeros(len(x), w.shape[1], *size, dtype=x.dtype, requires_grad=True)
    with torch.enable_grad():
        small = F.conv2d(image, w.detach(), stride=stride, padding=padding)
        (out,) = torch.autograd.grad(small, image, x.detach())
    return out + b.detach().reshape(1, -1, 1, 1)


@unusual("fc_to_conv")
def by_assignment(linear, in_shape):
    conv = nn.Conv2d(in_shape[0], len(linear.weight), in_shape[1:], bias=False)
    conv.weight = nn.Parameter(linear.weight.detach().clone().view(-1, *in_shape))
    if linear.bias is not None:
        conv.bias = nn.Parameter(linear.bias.detach().clone())
    return conv


class SlidingLinear(nn.Conv2d):
    """A kind of Conv2d that is made of a layer."""

    def __init__(self, linear, in_shape):
        C, H, W = in_shape
        bias = linear.bias is not None
        super().__init__(C, linear.out_features, (H, W), bias=bias)
        self.to(linear.weight.dtype)
        with torch.no_grad():
            values = list(linear.parameters())
            for mine, theirs in zip(self.parameters(), values, strict=True):
                mine[:] = theirs.view_as(mine)


UNUSUAL["fc_to_conv"]["a subclass"] = (SlidingLinear,)


@unusual("fc_to_conv")
def by_numbers(linear, in_shape):
    weights = linear.weight.detach().numpy().reshape(-1, *in_shape)
    conv = nn.Conv2d(
        in_shape[0], weights.shape[0], weights.shape[2:], bias=linear.bias is not None
    ).to(linear.weight)
    conv.weight.data = torch.tensor(weights)
    if conv.bias is not None:
        conv.bias.data = torch.tensor(linear.bias.tolist(), dtype=conv.bias.dtype)
    return conv


# --- counting, and the loss ---


@unusual("mean_iou")
def by_sets(pred, target, num_classes, ignore_index=None):
    where = [i for i, t in enumerate(target.flatten().tolist()) if t != ignore_index]
    pred, target = pred.flatten().tolist(), target.flatten().tolist()
    ious = []
    for k in range(num_classes):
        a, b = {i for i in where if pred[i] == k}, {i for i in where if target[i] == k}
        ious += [Fraction(len(a & b), len(a | b))] if a | b else []
    return float(sum(ious) / len(ious)) if ious else math.nan


@unusual("mean_iou")
def by_one_hot_maps(pred, target, num_classes, ignore_index=None):
    keep = torch.ones_like(target, dtype=torch.bool)
    if ignore_index is not None:
        keep &= target.ne(ignore_index)
    a = F.one_hot(pred[keep], num_classes)
    b = F.one_hot(target[keep], num_classes)
    both, either = (a * b).sum(0).double(), (a | b).sum(0).double()
    return np.float64(torch.nanmean(both / either))


@unusual("mean_iou")
def by_histogram(pred, target, num_classes, ignore_index=None):
    p, t = pred.numpy().ravel(), target.numpy().ravel()
    keep = t != (ignore_index if ignore_index is not None else -999)
    edges = np.arange(num_classes + 1) - 0.5
    counts, *_ = np.histogram2d(t[keep], p[keep], bins=(edges, edges))
    both = np.diag(counts)
    either = counts.sum(0) + counts.sum(1) - both
    if not either.any():
        return float("nan")
    return (both[either > 0] / either[either > 0]).mean()


@unusual("class_weights")
def class_by_class(target, num_classes, ignore_index=None):
    counts = [
        (target == k).sum().item() if k != ignore_index else 0
        for k in range(num_classes)
    ]
    there = sum(n > 0 for n in counts)
    return torch.tensor([sum(counts) / (there * n) if n else 0.0 for n in counts])


@unusual("class_weights")
def by_unique(target, num_classes, ignore_index=None):
    labels, counts = np.unique(target.numpy(), return_counts=True)
    keep = labels != ignore_index
    labels, counts = labels[keep], counts[keep]
    weights = np.zeros(num_classes, np.float32)
    weights[labels] = counts.mean() / counts
    return torch.from_numpy(weights)


@unusual("class_weights")
def by_frequencies(target, num_classes, ignore_index=None):
    hot = torch.stack([(target == k).flatten() for k in range(num_classes)]).float()
    share = hot.sum(1) / hot.sum()
    weights = share.clone()
    weights[share > 0] = 1 / share[share > 0]
    return weights / (share > 0).sum()


@unusual("pixel_loss")
def by_torch_loss(scores, target, weights=None, ignore_index=None):
    ignore_index = -100 if ignore_index is None else ignore_index
    return F.cross_entropy(scores, target, weights, ignore_index=ignore_index)


@unusual("pixel_loss")
def pixel_by_pixel(scores, target, weights=None, ignore_index=None):
    total, sum_of_weights = 0.0, 0.0
    for n, i, j in np.ndindex(*target.shape):
        k = target[n, i, j].item()
        if k != ignore_index:
            s, weight = scores[n, :, i, j], 1.0 if weights is None else weights[k]
            s = s - s.max().detach()
            total = total + weight * (s.exp().sum().log() - s[k])
            sum_of_weights = sum_of_weights + weight
    return total / sum_of_weights


@unusual("pixel_loss")
def on_a_list_of_pixels(scores, target, weights=None, ignore_index=None):
    rows, labels = scores.movedim(1, -1).flatten(0, 2), target.flatten()
    if ignore_index is not None:
        rows, labels = rows[labels != ignore_index], labels[labels != ignore_index]
    losses = rows.logsumexp(1) - rows[torch.arange(len(rows)), labels]
    if weights is None:
        return losses.mean()
    return losses @ (weights[labels] / weights[labels].sum())


# --- networks ---


class ByHand(nn.Module):
    """A SegNet with its own pooling, of windows cut by reshaping; no batch norm."""

    def __init__(self, in_channels, num_classes):
        super().__init__()
        self.a = nn.Conv2d(in_channels, 6, 5, padding=2)
        self.b = nn.Conv2d(6, 10, 3, padding=1)
        self.c = nn.ConvTranspose2d(10, 6, 3, padding=1)
        self.d = nn.ConvTranspose2d(6, num_classes, 5, padding=2)

    @staticmethod
    def pool(x):
        N, C, H, W = x.shape
        h, w = H // 2, W // 2
        blocks = x[:, :, : 2 * h, : 2 * w].reshape(N, C, h, 2, w, 2)
        blocks = blocks.permute(0, 1, 2, 4, 3, 5).flatten(4)
        values, which = blocks.max(dim=-1)
        rows = 2 * torch.arange(h)[:, None] + which // 2
        return values, rows * W + 2 * torch.arange(w) + which % 2

    @staticmethod
    def unpool(x, places, size):
        out = x.new_zeros(*x.shape[:2], size[0] * size[1])
        return out.scatter(2, places.flatten(2), x.flatten(2)).unflatten(2, size)

    def forward(self, x):
        x = self.a(x).tanh()
        large = x.shape[2:]
        x, first = self.pool(x)
        x = self.b(x).tanh()
        middle = x.shape[2:]
        x, second = self.pool(x)
        x = self.c(self.unpool(x, second, middle)).tanh()
        return self.d(self.unpool(x, first, large))


class Padded(nn.Module):
    """A SegNet that rounds all sizes up to 16 first, and crops at the end."""

    def __init__(self, in_channels, num_classes):
        super().__init__()
        self.pool, self.unpool = (
            nn.MaxPool2d(2, 2, return_indices=True),
            nn.MaxUnpool2d(2),
        )
        widths = [8, 8, 12, 12, 16]
        self.first = nn.Conv2d(in_channels, 8, 1)
        for i in range(4):
            down = nn.Conv2d(widths[i], widths[i + 1], 3, padding=1)
            up = nn.Conv2d(widths[i + 1], widths[i], 3, padding=1)
            self.add_module(
                f"down{i}",
                nn.Sequential(down, nn.GroupNorm(2, widths[i + 1]), nn.SiLU()),
            )
            self.add_module(
                f"up{i}", nn.Sequential(up, nn.GroupNorm(2, widths[i]), nn.SiLU())
            )
        self.head = nn.Conv2d(8, num_classes, 3, padding=1)

    def forward(self, x):
        H, W = x.shape[-2:]
        x = self.first(F.pad(x, (0, -W % 16, 0, -H % 16)))
        indices = []
        for i in range(4):
            x, places = self.pool(getattr(self, f"down{i}")(x))
            indices.append(places)
        for i in reversed(range(4)):
            x = getattr(self, f"up{i}")(self.unpool(x, indices[i]))
        return self.head(x)[..., :H, :W]


class Recursive(nn.Module):
    """A SegNet in a SegNet in a SegNet; drops features in training."""

    def __init__(self, in_channels, num_classes, depth=3, width=8):
        super().__init__()
        self.down = nn.Conv2d(in_channels, width, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(width, affine=False)
        inner = depth > 1
        self.inner = (
            Recursive(width, width, depth - 1, width) if inner else nn.Dropout(0.1)
        )
        self.up = nn.Conv2d(width, num_classes, 3, padding=1)

    def forward(self, x):
        x = F.leaky_relu(self.norm(self.down(x)), inplace=True)
        small, places = F.max_pool2d_with_indices(x, 2, ceil_mode=True)
        small = self.inner(small)
        empty = small.new_zeros(x.shape).flatten(2)
        return self.up(empty.scatter(2, places.flatten(2), small.flatten(2)).view_as(x))


UNUSUAL["segnet"] = {
    "by hand": (ByHand,),
    "padded": (Padded,),
    "recursive": (Recursive,),
}


class Classic(nn.Module):
    """As published, but for the padding: transposed convolutions of 2×2, no norm."""

    def __init__(self, in_channels, num_classes, skips=True):
        super().__init__()

        def double(a, b):
            layers = nn.Conv2d(a, b, 3, padding=1), nn.ReLU(inplace=True)
            more = nn.Conv2d(b, b, 3, padding=1), nn.ReLU(inplace=True)
            return nn.Sequential(*layers, *more)

        self.skips, widths = skips, (8, 16, 32, 64)
        self.downs, self.ups, self.joins = (nn.ModuleList() for _ in range(3))
        for a, b in zip((in_channels, *widths), widths, strict=False):
            self.downs.append(double(a, b))
        for a, b in zip(widths[:0:-1], widths[-2::-1], strict=True):
            self.ups.append(nn.ConvTranspose2d(a, b, 2, stride=2))
            self.joins.append(double(2 * b if skips else b, b))
        self.last = nn.Conv2d(widths[0], num_classes, 1)

    def forward(self, x):
        skips = []
        for down in self.downs:
            x = down(x)
            skips.append(x)
            x = F.max_pool2d(x, 2, ceil_mode=False) if len(skips) < 4 else x
        for up, join, skip in zip(self.ups, self.joins, skips[2::-1], strict=True):
            x = up(x)
            dh, dw = (a - b for a, b in zip(skip.shape[2:], x.shape[2:], strict=True))
            x = F.pad(x, (0, dw, 0, dh))
            x = join(torch.cat((x, skip), dim=1) if self.skips else x)
        return self.last(x)


class Strided(nn.Module):
    """Convolutions with stride 2 in place of pooling, bilinear on the way up, residual
    blocks, weights of the head that start at 0."""

    def __init__(self, in_channels, num_classes, skips=True):
        super().__init__()
        self.skips = skips
        self.stem = nn.Conv2d(in_channels, 8, 7, padding=3)
        self.down = nn.ModuleList(nn.Conv2d(8, 8, 3, 2, 1) for _ in range(3))
        self.blocks = nn.ModuleList(nn.Conv2d(8, 8, 3, padding=1) for _ in range(3))
        ins = 16 if skips else 8
        self.up = nn.ModuleList(nn.Conv2d(ins, 8, 3, padding=1) for _ in range(3))
        self.head = nn.Conv2d(8, num_classes, 1)
        nn.init.zeros_(self.head.weight)

    def forward(self, x):
        maps = [self.stem(x)]
        for down, block in zip(self.down, self.blocks, strict=True):
            x = down(maps[-1])
            maps.append(x + block(F.elu(x)))
        x = maps.pop()
        for up in self.up:
            skip = maps.pop()
            x = F.interpolate(
                x, size=skip.shape[-2:], mode="bilinear", align_corners=False
            )
            x = F.elu(up(torch.hstack([skip, x]) if self.skips else x))
        return self.head(x)


class Nested(nn.Module):
    """A U-Net around a U-Net, with attention at the bottom, weights shared with nobody,
    and layers that find their channels by themselves."""

    def __init__(self, in_channels, num_classes, skips=True, depth=2, width=8):
        super().__init__()
        self.skips, self.depth = skips, depth
        self.enter = nn.LazyConv2d(width, 3, padding=1)
        self.norm = nn.GroupNorm(1, width)
        if depth:
            self.inner = Nested(width, width, skips, depth - 1, width)
        else:
            self.attention = nn.MultiheadAttention(width, 2, batch_first=True)
        self.leave = nn.LazyConv2d(num_classes, 3, padding=1)

    def forward(self, x):
        x = F.gelu(self.norm(self.enter(x)))
        if not self.depth:
            tokens = x.flatten(2).mT
            mixed = self.attention(tokens, tokens, tokens)[0]
            return self.leave((tokens + mixed).mT.reshape(x.shape))
        below = self.inner(F.avg_pool2d(x, 2))
        below = F.interpolate(below, x.shape[2:], mode="nearest-exact")
        return self.leave(torch.cat([below, x], 1) if self.skips else below)


class Squeezed(nn.Module):
    """Channels weighted by a look at the whole map, dropout, spectral norms, U-Net++'s
    habit of joining more than two maps, and the image itself as a skip."""

    def __init__(self, in_channels, num_classes, skips=True):
        super().__init__()
        self.skips = skips
        self.one = nn.Sequential(nn.Conv2d(in_channels, 8, 3, padding=1), nn.PReLU())
        self.two = nn.Sequential(
            nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8), nn.Mish()
        )
        self.three = nn.Sequential(
            nn.Conv2d(8, 8, 3, padding=1), nn.Dropout2d(0.2), nn.Mish()
        )
        self.look = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(8, 8, 1), nn.Sigmoid()
        )
        self.up = nn.Conv2d(8 + 8 * skips, 8, 3, padding=1)
        self.last = nn.Conv2d(8 + (8 + in_channels) * skips, num_classes, 3, padding=1)

    def forward(self, image):
        one = self.one(image)
        two = self.two(F.max_pool2d(one, 3, 2, 1))
        x = self.three(F.max_pool2d(two, 3, 2, 1))
        x = x * self.look(x)
        x = F.interpolate(x, two.shape[2:], mode="bicubic")
        x = F.relu(self.up(torch.concat([two, x], 1) if self.skips else x))
        x = F.interpolate(x, one.shape[2:], mode="bilinear", align_corners=True)
        return self.last(torch.cat([image, one, x], 1) if self.skips else x)


UNUSUAL["unet"] = {
    "classic": (Classic,),
    "strided": (Strided,),
    "nested": (Nested,),
    "squeezed": (Squeezed,),
}
