"""Topic 04: right answers that look unlike the ones in the solution."""

# ruff: noqa: NPY002 (students use NumPy's old generators, too)

import math
from collections import namedtuple
from functools import reduce
from itertools import product

import numpy as np
import scipy.signal
import torch
import torch.nn.functional as F

from grader.checks.cnn import answers as right

UNUSUAL: dict[str, dict[str, tuple]] = {}


def unusual(exercise):
    """Register a function, or what a function named "pair_…" returns, as an answer."""

    def register(answer):
        answers = answer() if answer.__name__.startswith("pair_") else (answer,)
        UNUSUAL.setdefault(exercise, {})[answer.__name__] = answers
        return answer

    return register


# --- filters and sizes ---


@unusual("filter2d")
def by_scipy(image, kernel):
    h, w = image.shape
    full = scipy.signal.correlate2d(image, kernel, mode="full")
    top, left = kernel.shape[0] // 2, kernel.shape[1] // 2
    out = full[top : top + h, left : left + w]
    return np.ascontiguousarray(out).astype(image.dtype)


@unusual("filter2d")
def by_windows(image, kernel):
    pads = [(k // 2, k // 2) for k in kernel.shape]
    windows = np.lib.stride_tricks.sliding_window_view(
        np.pad(image, pads), kernel.shape
    )
    return np.einsum("ijuv,uv->ij", windows, kernel)


@unusual("filter2d")
def with_borders_by_hand(image, kernel):
    H, W = image.shape
    out = np.zeros((H, W), image.dtype)
    for i, j in product(range(H), range(W)):
        for u, row in enumerate(kernel, start=-(kernel.shape[0] // 2)):
            for v, weight in enumerate(row, start=-(kernel.shape[1] // 2)):
                if 0 <= i + u < H and 0 <= j + v < W:
                    out[i, j] += image[i + u, j + v] * weight
    return out


@unusual("conv_output_size")
def by_counting(size, kernel, stride=1, padding=0, dilation=1):
    if isinstance(size, int):
        starts = range(-padding, size + padding - dilation * (kernel - 1), stride)
        return len(starts)
    others = [
        np.broadcast_to(v, len(size)) for v in (kernel, stride, padding, dilation)
    ]
    return tuple(by_counting(*map(int, one)) for one in zip(size, *others, strict=True))


@unusual("conv_output_size")
def with_numpy(size, kernel, stride=1, padding=0, dilation=1):
    size, kernel, stride, padding, dilation = map(
        np.asarray, (size, kernel, stride, padding, dilation)
    )
    out = (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
    return out[()] if out.ndim == 0 else tuple(out)


@unusual("conv_output_size")
def with_floor(size, kernel, stride=1, padding=0, dilation=1):
    if type(size) is tuple:
        pick = lambda value, i: value[i] if type(value) is tuple else value  # noqa: E731
        return torch.Size(
            with_floor(s, *(pick(v, i) for v in (kernel, stride, padding, dilation)))
            for i, s in enumerate(size)
        )
    return math.floor((size + 2 * padding - dilation * (kernel - 1) - 1) / stride + 1)


# --- convolution ---


def _by_torch(x, w, b, conv_param):
    return F.conv2d(
        x, w, b, conv_param["stride"], conv_param["pad"], conv_param.get("dilation", 1)
    )


def torch_forward(x, w, b, conv_param):
    tensors = [torch.from_numpy(a.copy()).requires_grad_() for a in (x, w, b)]
    out = _by_torch(*tensors, conv_param)
    return out.detach().numpy(), (tensors, dict(conv_param))


def torch_backward(dout, cache):
    tensors, conv_param = cache
    grads = torch.autograd.grad(
        _by_torch(*tensors, conv_param), tensors, torch.from_numpy(dout.copy())
    )
    return [grad.numpy() for grad in grads]


def unfold_forward(x, w, b, conv_param):
    s, p, d = conv_param["stride"], conv_param["pad"], conv_param.get("dilation", 1)
    columns = F.unfold(torch.tensor(x), w.shape[2:], d, p, s).numpy()
    out = w.reshape(len(w), -1) @ columns + b[:, None]
    sizes = [
        (n + 2 * p - d * (k - 1) - 1) // s + 1
        for n, k in zip(x.shape[2:], w.shape[2:], strict=True)
    ]
    return out.reshape(len(x), len(w), *sizes), (columns, x.shape, w, (d, p, s))


def unfold_backward(dout, cache):
    columns, shape, w, settings = cache
    flat = dout.reshape(*dout.shape[:2], -1)
    dcolumns = torch.tensor(w.reshape(len(w), -1).T @ flat)
    dx = F.fold(dcolumns, shape[2:], w.shape[2:], *settings).numpy()
    dw = np.einsum("nfl,nkl->fk", flat, columns).reshape(w.shape)
    return dx, dw, np.einsum("nfl->f", flat)


def matrix_forward(x, w, b, conv_param):
    """The whole convolution as a matrix, found by sending in unit images."""
    N, *shape = x.shape
    units = np.eye(math.prod(shape), dtype=x.dtype).reshape(-1, *shape)
    maps = right.conv_forward_naive(units, w, 0 * b, conv_param)[0]
    matrix = maps.reshape(len(units), -1)
    out = x.reshape(N, -1) @ matrix
    return out.reshape(N, *maps.shape[1:]) + b[:, None, None], (
        x,
        w,
        b,
        conv_param,
        matrix,
    )


def matrix_backward(dout, cache):
    x, w, b, conv_param, matrix = cache
    dx = (dout.reshape(len(dout), -1) @ matrix.T).reshape(x.shape)
    # in the weights, the convolution is linear, too
    dw = np.zeros_like(w)
    for index in np.ndindex(w.shape):
        unit = np.zeros_like(w)
        unit[index] = 1
        dw[index] = (
            right.conv_forward_naive(x, unit, 0 * b, conv_param)[0] * dout
        ).sum()
    return dx, dw, np.array([dout[:, f].sum() for f in range(len(w))], dtype=w.dtype)


def transposed_backward(dout, cache):
    x, w, b, conv_param = cache
    s, p, d = conv_param["stride"], conv_param["pad"], conv_param.get("dilation", 1)
    rest = [
        (n + 2 * p - d * (k - 1) - 1) % s
        for n, k in zip(x.shape[2:], w.shape[2:], strict=True)
    ]
    up, weights = torch.tensor(dout), torch.tensor(w)
    dx = F.conv_transpose2d(up, weights, None, s, p, rest, 1, d).numpy()
    wide = torch.tensor(np.pad(x, ((0, 0), (0, 0), (p, p), (p, p))))
    dw = F.conv2d(wide.transpose(0, 1), up.transpose(0, 1), stride=d, dilation=s)
    dw = dw.transpose(0, 1)[:, :, : w.shape[2], : w.shape[3]]
    return dx, dw.numpy(), dout.sum((0, 2, 3))


def keeping_forward(x, w, b, conv_param):
    return right.conv_forward_im2col(x, w, b, conv_param)[0], (x, w, b, conv_param)


def channel_forward(x, w, b, conv_param):
    """One channel and one filter at a time, by SciPy; padding and strides by hand."""
    s, p, d = conv_param["stride"], conv_param["pad"], conv_param.get("dilation", 1)
    spread = np.zeros(
        (*w.shape[:2], d * (w.shape[2] - 1) + 1, d * (w.shape[3] - 1) + 1), w.dtype
    )
    spread[:, :, ::d, ::d] = w
    maps = []
    for image, f in product(np.pad(x, ((0, 0), (0, 0), (p, p), (p, p))), range(len(w))):
        parts = [
            scipy.signal.correlate2d(channel, kernel, "valid")[::s, ::s]
            for channel, kernel in zip(image, spread[f], strict=True)
        ]
        maps.append(sum(parts) + b[f])
    return np.array(maps, x.dtype).reshape(len(x), len(w), *maps[0].shape), None


UNUSUAL["conv_forward_naive"] = {
    "torch": (torch_forward,),
    "unfold": (unfold_forward,),
    "matrix": (matrix_forward,),
    "scipy": (channel_forward,),
    "im2col": (right.conv_forward_im2col,),
}
UNUSUAL["conv_backward_naive"] = {
    "torch": (torch_forward, torch_backward),
    "fold": (unfold_forward, unfold_backward),
    "matrix": (matrix_forward, matrix_backward),
    "transposed": (keeping_forward, transposed_backward),
    "im2col": (right.conv_forward_im2col, right.conv_backward_im2col),
}
UNUSUAL["conv_forward_im2col"] = {
    "torch": (torch_forward,),
    "unfold": (unfold_forward,),
    "taps": (right.conv_forward_naive,),
}
UNUSUAL["conv_backward_im2col"] = {
    "torch": (torch_forward, torch_backward),
    "fold": (unfold_forward, unfold_backward),
    "taps": (right.conv_forward_naive, right.conv_backward_naive),
}


@unusual("conv1x1")
def with_tensordot(x, w, b):
    return np.moveaxis(np.tensordot(x, w, ([1], [1])) + b, -1, 1)


@unusual("conv1x1")
def pixel_by_pixel(x, w, b):
    N, _, H, W = x.shape
    out = np.empty((N, len(w), H, W), x.dtype)
    for n, i, j in product(range(N), range(H), range(W)):
        out[n, :, i, j] = w @ x[n, :, i, j] + b
    return out


@unusual("conv1x1")
def as_a_convolution(x, w, b):
    return F.conv2d(*map(torch.tensor, (x, w[:, :, None, None], b))).numpy()


@unusual("conv1x1")
def channel_by_channel(x, w, b):
    maps = [
        b[f] + sum(w[f, c] * x[:, c] for c in range(x.shape[1])) for f in range(len(w))
    ]
    return np.stack(maps, axis=1)


# --- pooling ---

Kept = namedtuple("Kept", "x height width stride")


def _kept(x, pool_param):
    return Kept(
        x.copy(), *(pool_param[k] for k in ("pool_height", "pool_width", "stride"))
    )


def _views(x, kept):
    shape = kept.height, kept.width
    views = np.lib.stride_tricks.sliding_window_view(x, shape, (2, 3))
    return views[:, :, :: kept.stride, :: kept.stride]


def max_by_views(x, pool_param):
    kept = _kept(x, pool_param)
    return _views(x, kept).max((-2, -1)), kept


def max_by_torch(x, pool_param):
    kept = _kept(x, pool_param)
    out = F.max_pool2d(torch.tensor(x), (kept.height, kept.width), kept.stride)
    return out.numpy(), kept


def max_by_loops(x, pool_param):
    kept = _kept(x, pool_param)
    out = [
        [[[float(w.max()) for w in r] for r in c] for c in n] for n in _views(x, kept)
    ]
    return np.array(out, x.dtype), [kept]


def max_grad_shared(dout, cache):
    dx = np.zeros_like(cache.x)
    for n, c, i, j in np.ndindex(dout.shape):
        top, left = i * cache.stride, j * cache.stride
        window = cache.x[n, c, top : top + cache.height, left : left + cache.width]
        ties = np.argwhere(window == window.max())
        for u, v in ties:
            dx[n, c, top + u, left + v] += dout[n, c, i, j] / len(ties)
    return dx


def max_grad_last(dout, cache):
    dx = np.zeros_like(cache.x)
    for n, c, i, j in np.ndindex(dout.shape):
        top, left = i * cache.stride, j * cache.stride
        window = cache.x[n, c, top : top + cache.height, left : left + cache.width]
        u, v = np.argwhere(window == window.max())[-1]
        dx[n, c, top + u, left + v] += dout[n, c, i, j]
    return dx


def max_grad_torch(dout, cache):
    x = torch.tensor(cache.x, requires_grad=True)
    out = F.max_pool2d(x, (cache.height, cache.width), cache.stride)
    return torch.autograd.grad(out, x, torch.tensor(dout))[0].numpy()


def max_grad_scattered(dout, cache):
    windows = _views(np.arange(cache.x.size).reshape(cache.x.shape), cache)
    values = _views(cache.x, cache).reshape(*dout.shape, -1)
    places = windows.reshape(*dout.shape, -1)
    winners = np.take_along_axis(places, values.argmax(-1)[..., None], -1)
    flat = np.bincount(winners.ravel(), dout.ravel(), cache.x.size)
    return flat.reshape(cache.x.shape).astype(dout.dtype)


UNUSUAL["max_pool_forward_naive"] = {
    "views": (max_by_views,),
    "torch": (max_by_torch,),
    "loops": (max_by_loops,),
}
UNUSUAL["max_pool_backward_naive"] = {
    "shared": (max_by_views, max_grad_shared),
    "last": (max_by_views, max_grad_last),
    "torch": (max_by_torch, max_grad_torch),
    "scattered": (max_by_torch, max_grad_scattered),
}


def avg_by_views(x, pool_param):
    kept = _kept(x, pool_param)
    return _views(x, kept).mean((-2, -1), dtype=x.dtype), kept


def avg_by_torch(x, pool_param):
    kept = _kept(x, pool_param)
    out = F.avg_pool2d(torch.tensor(x), (kept.height, kept.width), kept.stride)
    return out.numpy(), kept


def avg_by_convolution(x, pool_param):
    """Pooling is a convolution with equal weights, channel by channel."""
    kept = _kept(x, pool_param)
    N, C, H, W = x.shape
    weights = np.full(
        (1, 1, kept.height, kept.width), 1 / kept.height / kept.width, x.dtype
    )
    planes = x.reshape(N * C, 1, H, W)
    param = {"stride": kept.stride, "pad": 0}
    out, cache = right.conv_forward_im2col(planes, weights, np.zeros(1, x.dtype), param)
    return out.reshape(N, C, *out.shape[2:]), (cache, x.shape)


def avg_grad_by_convolution(dout, cache):
    cache, shape = cache
    planes = dout.reshape(-1, 1, *dout.shape[2:])
    return right.conv_backward_im2col(planes, cache)[0].reshape(shape)


def avg_grad_by_torch(dout, cache):
    x = torch.tensor(cache.x, requires_grad=True)
    out = F.avg_pool2d(x, (cache.height, cache.width), cache.stride)
    return torch.autograd.grad(out, x, torch.tensor(dout))[0].numpy()


def avg_grad_by_kron(dout, cache):
    dx = np.zeros_like(cache.x)
    box = np.full((cache.height, cache.width), 1 / (cache.height * cache.width))
    for n, c, i, j in np.ndindex(dout.shape):
        top, left = i * cache.stride, j * cache.stride
        dx[n, c, top : top + cache.height, left : left + cache.width] += (
            dout[n, c, i, j] * box
        )
    return dx


UNUSUAL["avg_pool_forward_naive"] = {
    "views": (avg_by_views,),
    "torch": (avg_by_torch,),
    "convolution": (avg_by_convolution,),
}
UNUSUAL["avg_pool_backward_naive"] = {
    "torch": (avg_by_torch, avg_grad_by_torch),
    "boxes": (avg_by_views, avg_grad_by_kron),
    "convolution": (avg_by_convolution, avg_grad_by_convolution),
}


# --- counts ---


@unusual("receptive_field")
def from_the_end(layers):
    field = 1
    for kernel, stride, *more in layers[::-1]:
        field = (field - 1) * stride + sum(more or [1]) * (kernel - 1) + 1
    return field


@unusual("receptive_field")
def by_reduce(layers):
    def add(state, layer):
        kernel, stride, dilation = [*layer, 1][:3]
        return state[0] + state[1] * dilation * (kernel - 1), state[1] * stride

    return np.int64(reduce(add, layers, (1, 1))[0])


@unusual("receptive_field")
def by_walking_back(layers):
    first = last = 0
    for layer in reversed(layers):
        kernel, stride = layer[0], layer[1]
        dilation = layer[2] if len(layer) == 3 else 1
        first, last = first * stride, last * stride + dilation * (kernel - 1)
    return last - first + 1


@unusual("count_parameters")
def of_a_module(c_in, c_out, kernel, bias=True):
    return sum(
        p.numel() for p in torch.nn.Conv2d(c_in, c_out, kernel, bias=bias).parameters()
    )


@unusual("count_parameters")
def of_an_array(c_in, c_out, kernel, bias=True):
    size = kernel if isinstance(kernel, tuple) else 2 * (kernel,)
    return np.empty((c_out, c_in, *size)).size + (c_out if bias else 0)


@unusual("count_parameters")
def as_an_affine_layer(c_in, c_out, kernel, bias=True):
    try:
        height, width = kernel
    except TypeError:
        height = width = kernel
    return (height * width * c_in + 1 * bias) * c_out


@unusual("count_operations")
def by_a_loop(c_in, c_out, kernel, out_h, out_w):
    per_pixel = sum(
        2 * math.prod(np.broadcast_to(kernel, 2).tolist()) for _ in range(c_in)
    )
    return c_out * per_pixel * (out_h * out_w)


@unusual("count_operations")
def by_parameters(c_in, c_out, kernel, out_h, out_w):
    return right.count_parameters(c_in, 2 * c_out, kernel, False) * out_w * out_h


@unusual("count_operations")
def of_a_product(c_in, c_out, kernel, out_h, out_w):
    size = kernel if isinstance(kernel, tuple) else (kernel, kernel)
    return np.int64(2) * np.prod([c_in, c_out, out_h, out_w, *size])


# --- nets ---


class ByTorch:
    """A net whose layers are PyTorch's."""

    def __init__(self, input_dim=(3, 32, 32), num_filters=32, filter_size=7,
                 hidden_dim=100, num_classes=10, weight_scale=1e-3, reg=0.0,
                 dtype=np.float32):  # fmt: skip
        self.reg = reg
        C, H, W = input_dim
        D = num_filters * (H // 2) * (W // 2)
        draw = np.random.normal
        self.params = {
            "b1": np.zeros(num_filters),
            "b2": np.zeros(hidden_dim),
            "b3": np.zeros(num_classes),
            "W1": weight_scale * draw(size=(num_filters, C, filter_size, filter_size)),
            "W2": weight_scale * draw(size=(D, hidden_dim)),
            "W3": weight_scale * draw(size=(hidden_dim, num_classes)),
        }
        self.params = {name: dtype(value) for name, value in self.params.items()}

    def loss(self, X, y=None):
        p = {n: torch.tensor(v, requires_grad=True) for n, v in self.params.items()}
        maps = F.conv2d(torch.tensor(X), p["W1"], p["b1"], padding="same")
        flat = F.max_pool2d(maps, 2).relu().flatten(1)
        scores = F.linear((flat @ p["W2"] + p["b2"]).relu(), p["W3"].T, p["b3"])
        if y is None:
            return scores.detach().numpy()
        loss = F.cross_entropy(scores, torch.tensor(y))
        for name in ("W1", "W2", "W3"):
            loss = loss + 0.5 * self.reg * (p[name] ** 2).sum()
        loss.backward()
        return loss.item(), {name: tensor.grad.numpy() for name, tensor in p.items()}


class PoolBeforeRelu(right.ThreeLayerConvNet):
    """ReLU and maximum may change places; loss as a NumPy scalar."""

    def loss(self, X, y=None):
        W = self.params
        param = {"stride": 1, "pad": W["W1"].shape[-1] // 2, "dilation": 1}
        maps, c1 = right.conv_forward_naive(X, W["W1"], W["b1"], param)
        halves = dict.fromkeys(("pool_height", "pool_width", "stride"), 2)
        small, c2 = right.max_pool_forward_naive(maps, halves)
        active, c3 = right.relu_forward(small)
        hidden, c4 = right.affine_forward(active, W["W2"], W["b2"])
        rectified, c5 = right.relu_forward(hidden)
        scores, c6 = right.affine_forward(rectified, W["W3"], W["b3"])
        if y is None:
            return scores
        loss, d = right.softmax_loss(scores, y)
        grads = {}
        d, grads["W3"], grads["b3"] = right.affine_backward(d, c6)
        d, grads["W2"], grads["b2"] = right.affine_backward(
            right.relu_backward(d, c5), c4
        )
        d = right.max_pool_backward_naive(right.relu_backward(d, c3), c2)
        _, grads["W1"], grads["b1"] = right.conv_backward_naive(d, c1)
        for name, value in W.items():
            if value.ndim > 1:
                loss = loss + self.reg * np.vdot(value, value) / 2
                grads[name] = grads[name] + self.reg * value
        return np.float64(loss), grads


class SubclassOfTorch(torch.nn.Module):
    """A module that holds its NumPy parameters beside it."""

    def __init__(self, *arguments, **options):
        super().__init__()
        self.net = right.ThreeLayerConvNet(*arguments, **options)
        self.params = self.net.params

    def loss(self, X, y=None):
        self.net.params = self.params
        return self.net.loss(X, y)


UNUSUAL["three_layer_convnet"] = {
    "torch": (ByTorch,),
    "pool before relu": (PoolBeforeRelu,),
    "module": (SubclassOfTorch,),
}


class Twin(torch.nn.Module):
    """Tensors as they are in params, and functions."""

    def __init__(self, params):
        super().__init__()
        for name, value in params.items():
            setattr(self, name, torch.nn.Parameter(torch.from_numpy(value.copy())))

    def forward(self, X):
        maps = F.conv2d(X, self.W1, self.b1, padding="same")
        pooled = F.max_pool2d(F.relu(maps), 2).reshape(len(X), -1)
        return F.relu(pooled @ self.W2 + self.b2) @ self.W3 + self.b3


def by_state_dict(params):
    num_filters, C, size, _ = params["W1"].shape
    conv = torch.nn.Sequential(
        torch.nn.Conv2d(C, num_filters, size, padding="same"),
        torch.nn.MaxPool2d(2),
        torch.nn.ReLU(),
    )
    head = torch.nn.Sequential(
        torch.nn.Flatten(),
        torch.nn.LazyLinear(params["W2"].shape[1]),
        torch.nn.ReLU(),
        torch.nn.LazyLinear(params["W3"].shape[1]),
    )
    twin = torch.nn.Sequential(conv, head)
    names = ("0.0", "W1", "b1"), ("1.1", "W2", "b2"), ("1.3", "W3", "b3")
    state = {}
    for place, weight, bias in names:
        value = torch.tensor(params[weight])
        state[f"{place}.weight"] = value if value.ndim == 4 else value.T
        state[f"{place}.bias"] = torch.tensor(params[bias])
    twin.load_state_dict(state, assign=True)
    return twin.requires_grad_()


def linear_as_convolution(params):
    """1x1 convolutions in place of linear layers."""
    num_filters, C, size, _ = params["W1"].shape
    D, M = params["W2"].shape
    twin = torch.nn.Sequential(
        torch.nn.Conv2d(C, num_filters, size, padding=(size - 1) // 2),
        torch.nn.ReLU(),
        torch.nn.MaxPool2d(kernel_size=2, stride=2),
        torch.nn.Flatten(),
        torch.nn.Unflatten(1, (D, 1, 1)),
        torch.nn.Conv2d(D, M, 1),
        torch.nn.ReLU(),
        torch.nn.Conv2d(M, params["W3"].shape[1], 1),
        torch.nn.Flatten(),
    ).to(torch.from_numpy(params["W1"]).dtype)
    values = [params["W1"], params["b1"], params["W2"].T, params["b2"]]
    values += [params["W3"].T, params["b3"]]
    with torch.no_grad():
        for parameter, value in zip(twin.parameters(), values, strict=True):
            parameter.copy_(torch.tensor(value).reshape(parameter.shape))
    return twin


UNUSUAL["torch_twin"] = {
    "tensors": (Twin,),
    "state dict": (by_state_dict,),
    "1x1": (linear_as_convolution,),
}
