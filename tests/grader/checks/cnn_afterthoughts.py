"""Topic 04: answers that nobody had in mind when the checks were written."""

import math
from collections import OrderedDict
from fractions import Fraction

import numpy as np
import scipy.ndimage
import scipy.signal
import torch
import torch.nn.functional as F

from grader.checks.cnn import answers as right
from grader.checks.cnn import count_cases

# (exercise, name): functions
WRONG: dict[tuple[str, str], tuple] = {}
RIGHT: dict[tuple[str, str], tuple] = {}


# --- wrong ---


def _global_cache():
    kept = {}

    def forward(x, w, b, conv_param):
        out, kept["cache"] = right.conv_forward_naive(x, w, b, conv_param)
        return out, None

    return forward, lambda dout, cache: right.conv_backward_naive(dout, kept["cache"])


WRONG["conv_backward_naive", "cache kept in a global"] = _global_cache()


def keeps_the_dict(x, w, b, conv_param):
    return right.conv_forward_naive(x, w, b, conv_param)[0], (x, w, conv_param)


def pops_on_the_way_back(dout, cache):
    x, w, param = cache
    settings = param["stride"], param["pad"], param.pop("dilation", 1)
    return right.conv_backward_naive(dout, (x, w, *settings))


WRONG["conv_backward_naive", "takes dilation out of the caller's dict"] = (
    keeps_the_dict,
    pops_on_the_way_back,
)


def rounded(x, w, b, conv_param):
    out, cache = right.conv_forward_naive(x, w, b, conv_param)
    return np.round(out, 5), cache


WRONG["conv_forward_naive", "rounded to five digits"] = (rounded,)


def half_precision(x, w, b, conv_param):
    halves = (a.astype(np.float16) for a in (x, w, b))
    out, cache = right.conv_forward_im2col(*halves, conv_param)
    return out.astype(x.dtype), cache


WRONG["conv_forward_im2col", "computed in half precision"] = (half_precision,)


def best_so_far(x, pool_param):
    """A search that starts at a "very small" number."""
    out, cache = right.max_pool_forward_naive(x, pool_param)
    return np.maximum(out, np.asarray(-100, x.dtype)), cache


WRONG["max_pool_forward_naive", "search starts at -100"] = (best_so_far,)


def shared_among_close(dout, cache):
    x, high, wide, s = cache
    dx = np.zeros(x.shape, dout.dtype)
    for n, c, i, j in np.ndindex(dout.shape):
        part = np.s_[n, c, i * s : i * s + high, j * s : j * s + wide]
        close = np.isclose(x[part], x[part].max(), rtol=1e-3)
        dx[part] += dout[n, c, i, j] * close / close.sum()
    return dx


WRONG["max_pool_backward_naive", "shared among entries that are close"] = (
    right.max_pool_forward_naive,
    shared_among_close,
)


def where_the_output_is(dout, cache):
    """Every entry of a channel that equals some maximum, not those in its window."""
    x, high, wide, s = cache
    out = right.max_pool_forward_naive(
        x, {"pool_height": high, "pool_width": wide, "stride": s}
    )[0]
    dx = np.zeros(x.shape, dout.dtype)
    for n, c, i, j in np.ndindex(dout.shape):
        hits = x[n, c] == out[n, c, i, j]
        dx[n, c] += dout[n, c, i, j] * hits / hits.sum()
    return dx


WRONG["max_pool_backward_naive", "shared over the whole plane"] = (
    right.max_pool_forward_naive,
    where_the_output_is,
)


def same_only(image, kernel):
    """SciPy's "same" is right as long as the kernel fits into the image."""
    if (np.array(kernel.shape) > image.shape).any():
        return np.zeros_like(image)
    return scipy.ndimage.correlate(image, kernel, mode="constant")


WRONG["filter2d", "kernels that are too large are left out"] = (same_only,)


class KeepsColumns(right.ThreeLayerConvNet):
    """Takes images of a shape that it has seen for the same images."""

    def loss(self, X, y=None):
        self.seen = getattr(self, "seen", {})
        X = self.seen.setdefault(X.shape, X)
        return super().loss(X, y)


WRONG["three_layer_convnet", "remembers the images by their shape"] = (KeepsColumns,)


class Accumulates(right.ThreeLayerConvNet):
    """Adds gradients of all calls, as PyTorch does without zero_grad."""

    def loss(self, X, y=None):
        result = super().loss(X, y)
        if y is None:
            return result
        loss, grads = result
        kept = getattr(self, "kept", dict.fromkeys(grads, 0))
        self.kept = {n: kept[n] + grads[n] for n in grads}
        return loss, self.kept


WRONG["three_layer_convnet", "accumulates gradients over calls"] = (Accumulates,)


def with_dropout(params):
    twin = right.torch_twin(params)
    twin.insert(4, torch.nn.Dropout(0.1))
    return twin


WRONG["torch_twin", "drops units in training"] = (with_dropout,)


def detached_middle(params):
    """The convolution gets no gradient, though it asks for one."""
    twin = right.torch_twin(params)

    class Twin(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.twin = twin

        def forward(self, X):
            return self.twin[3:](self.twin[:3](X).detach())

    return Twin()


WRONG["torch_twin", "detached behind the convolution"] = (detached_middle,)


def kernel_dilation_stride(layers):
    """Reads three numbers as (kernel, dilation, stride)."""
    swapped = [
        layer if len(layer) == 2 else (layer[0], *layer[:0:-1]) for layer in layers
    ]
    return right.receptive_field(swapped)


WRONG["receptive_field", "dilation before stride"] = (kernel_dilation_stride,)


def padded_by_one(size, kernel, stride=1, padding=0, dilation=1):
    """Reads padding=True as "same"; 1 is equal to True."""
    if padding is True or padding == 1:
        padding = dilation * (kernel - 1) // 2 if isinstance(kernel, int) else 1
    return right.conv_output_size(size, kernel, stride, padding, dilation)


WRONG["conv_output_size", "padding 1 is taken for same"] = (padded_by_one,)


# --- right ---


def by_int(size, kernel, stride=1, padding=0, dilation=1):
    if isinstance(size, int):
        return int((size + 2 * padding - dilation * (kernel - 1) - 1) / stride) + 1
    given = [v if isinstance(v, tuple) else [v] * 9 for v in (kernel, stride, padding)]
    spread = dilation if isinstance(dilation, tuple) else [dilation] * 9
    return (*map(by_int, size, *given, spread),)


RIGHT["conv_output_size", "by int of a fraction"] = (by_int,)


def by_fourier(image, kernel):
    shape = [a + b - 1 for a, b in zip(image.shape, kernel.shape, strict=True)]
    product = np.fft.rfft2(image, shape) * np.fft.rfft2(kernel[::-1, ::-1], shape)
    full = np.fft.irfft2(product, shape)
    top, left = kernel.shape[0] // 2, kernel.shape[1] // 2
    out = full[top : top + image.shape[0], left : left + image.shape[1]]
    return out.astype(image.dtype)


RIGHT["filter2d", "by Fourier transforms"] = (by_fourier,)


def by_ndimage(image, kernel):
    out = scipy.ndimage.correlate(image, kernel, mode="constant", cval=0.0)
    return out.astype(image.dtype)


RIGHT["filter2d", "by SciPy's ndimage"] = (by_ndimage,)


class Layer:
    """A cache that is an object with a method."""

    def __init__(self, x, w, settings):
        self.x, self.w, self.settings = x.copy(order="F"), w.tolist(), settings

    def back(self, dout):
        w = np.array(self.w, dtype=dout.dtype)
        return right.conv_backward_naive(dout, (self.x, w, *self.settings))


def object_forward(x, w, b, conv_param):
    out, (*_, s, p, d) = right.conv_forward_naive(x, w, b, conv_param)
    return [np.asfortranarray(out), Layer(x, w, (s, p, d))]


RIGHT["conv_backward_naive", "cache is an object"] = (
    object_forward,
    lambda dout, cache: list(cache.back(dout)),
)
RIGHT["conv_forward_naive", "a list, in Fortran's order"] = (object_forward,)


def by_fft(x, w, b, conv_param):
    s, p, d = conv_param["stride"], conv_param["pad"], conv_param.get("dilation", 1)
    spread = np.zeros((*w.shape[:2], *(d * (k - 1) + 1 for k in w.shape[2:])), w.dtype)
    spread[:, :, ::d, ::d] = w
    padded = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)))
    turned = spread[None, :, :, ::-1, ::-1]
    maps = scipy.signal.fftconvolve(padded[:, None], turned, "valid", axes=(3, 4))
    out = maps.sum(axis=2)[:, :, ::s, ::s] + b[:, None, None]
    return out.astype(x.dtype), None


RIGHT["conv_forward_im2col", "by fast Fourier transforms"] = (by_fft,)


def zeros_by_hand(x, w, b, conv_param):
    p = conv_param["pad"]
    side = np.zeros((*x.shape[:3], p), x.dtype)
    x = np.concatenate([side, x, side], axis=3)
    edge = np.zeros((*x.shape[:2], p, x.shape[3]), x.dtype)
    x = np.concatenate([edge, x, edge], axis=2)
    out, cache = right.conv_forward_im2col(x, w, b, {**conv_param, "pad": 0})
    return out, (cache, p)


def zeros_cut_off(dout, cache):
    cache, p = cache
    dx, dw, db = right.conv_backward_im2col(dout, cache)
    return dx[:, :, p : len(dx[0, 0]) - p, p : dx.shape[3] - p], dw, db


RIGHT["conv_backward_im2col", "zeros joined by hand"] = (zeros_by_hand, zeros_cut_off)


def by_maximum_filter(x, pool_param):
    high, wide, s = (pool_param[k] for k in ("pool_height", "pool_width", "stride"))
    # each pixel gets the maximum of the window that starts there
    origin = (0, 0, -(high // 2), -(wide // 2))
    size = (1, 1, high, wide)
    best = scipy.ndimage.maximum_filter(x, size, origin=origin, mode="nearest")
    H, W = x.shape[2:]
    return best[:, :, : H - high + 1 : s, : W - wide + 1 : s], (x, high, wide, s)


RIGHT["max_pool_forward_naive", "by a maximum filter"] = (
    lambda x, pool_param: (
        np.stack([by_maximum_filter(image[None], pool_param)[0][0] for image in x]),
        None,
    ),
)


def lottery(x, pool_param):
    """Draws a winner among those that tie, once."""
    out, (_, high, wide, s) = right.max_pool_forward_naive(x, pool_param)
    winners, rng = {}, np.random.default_rng()
    for n, c, i, j in np.ndindex(out.shape):
        window = x[n, c, i * s : i * s + high, j * s : j * s + wide]
        u, v = rng.choice(np.argwhere(window == out[n, c, i, j]))
        winners[n, c, i, j] = n, c, i * s + u, j * s + v
    return out, (winners, x.shape)


def to_the_winner(dout, cache):
    winners, shape = cache
    dx = np.zeros(shape, dout.dtype)
    for place, winner in winners.items():
        dx[winner] += dout[place]
    return dx


RIGHT["max_pool_backward_naive", "ties are drawn by lot"] = (lottery, to_the_winner)


def by_uniform_sums(x, pool_param):
    high, wide, s = (pool_param[k] for k in ("pool_height", "pool_width", "stride"))
    H, W = x.shape[2:]
    rows, columns = (
        np.array(
            [
                [k * s <= i < k * s + size for i in range(d)]
                for k in range((d - size) // s + 1)
            ]
        )
        for d, size in ((H, high), (W, wide))
    )
    rows, columns = rows.astype(x.dtype) / high, columns.astype(x.dtype) / wide
    return rows @ x @ columns.T, (rows, columns)


RIGHT["avg_pool_backward_naive", "two thin matrices"] = (
    by_uniform_sums,
    lambda dout, cache: cache[0].T @ dout @ cache[1],
)


def by_fractions(layers):
    field, step = Fraction(1), Fraction(1)
    for kernel, stride, *dilation in layers:
        field += math.prod(dilation) * step * (kernel - 1)
        step *= stride
    return round(field)


RIGHT["receptive_field", "by fractions"] = (by_fractions,)


class Ordered(right.ThreeLayerConvNet):
    """Parameters in another order, of another kind of dict; gradients are views."""

    def __init__(self, *sizes, **options):
        super().__init__(*sizes, **options)
        self.params = OrderedDict(sorted(self.params.items(), reverse=True))

    def loss(self, X, y=None):
        result = super().loss(np.asfortranarray(X), y)
        if y is None:
            return result
        loss, grads = result
        return np.array(loss), OrderedDict((n, g[...]) for n, g in grads.items())


RIGHT["three_layer_convnet", "another dict, a loss without axes"] = (Ordered,)


class Unfolded(torch.nn.Module):
    """A convolution by hand, parameters in a list, in another order."""

    def __init__(self, params):
        super().__init__()
        self.size = params["W1"].shape[2]
        self.names = sorted(params, reverse=True)
        copies = (torch.nn.Parameter(torch.tensor(params[n])) for n in self.names)
        self.parts = torch.nn.ParameterList(copies)

    def forward(self, X):
        p = dict(zip(self.names, self.parts, strict=True))
        columns = F.unfold(X, self.size, padding=self.size // 2)
        maps = p["W1"].flatten(1) @ columns + p["b1"][:, None]
        maps = maps.reshape(len(X), -1, *X.shape[2:]).clamp(min=0)
        hidden = F.max_pool2d(maps, 2).flatten(1) @ p["W2"] + p["b2"]
        return hidden.clamp(min=0) @ p["W3"] + p["b3"]


RIGHT["torch_twin", "unfolded, parameters in another order"] = (Unfolded,)


class ParametersOfAll(right.ThreeLayerConvNet):
    """All networks of the class share one dict of parameters."""

    shared: dict = {}

    def __init__(self, *sizes, **settings):
        super().__init__(*sizes, **settings)
        self.shared.update(self.params)
        self.params = self.shared


WRONG["three_layer_convnet", "all networks share their parameters"] = (ParametersOfAll,)


_FIXED = ("stride_1", "strided", "dilated", "empty")
_KNOWN = {
    repr(case["arguments"][0]): right.receptive_field(case["arguments"][0])
    for kind in _FIXED
    for case in getattr(count_cases, f"fields_{kind}")(np.random.default_rng(0))
}


def by_heart(layers):
    return _KNOWN.get(repr(layers), 1)


WRONG["receptive_field", "a table of answers"] = (by_heart,)
