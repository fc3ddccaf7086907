"""Topic 04, compact right answers: what the mistakes are edits of."""

import numpy as np
import torch

from grader.checks.backprop.answers import (
    affine_backward,
    affine_forward,
    relu_backward,
    relu_forward,
    softmax_loss,
)

__all__ = [
    "affine_backward",
    "affine_forward",
    "relu_backward",
    "relu_forward",
    "softmax_loss",
]


def filter2d(image, kernel):
    high, wide = kernel.shape
    up, left = high // 2, wide // 2
    padded = np.pad(image, ((up, up), (left, left)))
    out = np.zeros(image.shape, image.dtype)
    for i, j in np.ndindex(image.shape):
        patch = padded[i : i + high, j : j + wide]
        out[i, j] = (patch * kernel).sum()
    return out


def conv_output_size(size, kernel, stride=1, padding=0, dilation=1):
    if isinstance(size, tuple):
        n = len(size)
        given = (kernel, stride, padding, dilation)
        each = [g if isinstance(g, tuple) else (g,) * n for g in given]
        ones = zip(size, *each, strict=True)
        return tuple(conv_output_size(*one) for one in ones)
    span = dilation * (kernel - 1) + 1
    free = size + 2 * padding - span
    return free // stride + 1


def conv_forward_naive(x, w, b, conv_param):
    s, p = conv_param["stride"], conv_param["pad"]
    d = conv_param.get("dilation", 1)
    (N, _, H, W), (F, _, HH, WW) = x.shape, w.shape
    padded = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)))
    high, wide = d * (HH - 1) + 1, d * (WW - 1) + 1
    rows, cols = (H + 2 * p - high) // s + 1, (W + 2 * p - wide) // s + 1
    out = np.zeros((N, rows, cols, F), x.dtype)
    for u, v in np.ndindex(HH, WW):
        top, left = u * d, v * d
        taps = padded[:, :, top : top + s * rows : s, left : left + s * cols : s]
        taps = taps[:, :, :rows, :cols].transpose(0, 2, 3, 1)
        out += taps @ w[:, :, u, v].T
    out = out + b
    out = out.transpose(0, 3, 1, 2)
    return out, (x, w, s, p, d)


def conv_backward_naive(dout, cache):
    x, w, s, p, d = cache
    (N, C, H, W), (F, _, HH, WW) = x.shape, w.shape
    rows, cols = dout.shape[2:]
    padded = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)))
    flat = dout.transpose(0, 2, 3, 1).reshape(-1, F)
    dw, db = np.zeros(w.shape, w.dtype), flat.sum(axis=0)
    dpadded = np.zeros((N, C, H + 2 * p, W + 2 * p), dout.dtype)
    for u, v in np.ndindex(HH, WW):
        top, left = u * d, v * d
        down = slice(top, top + s * (rows - 1) + 1, s)
        across = slice(left, left + s * (cols - 1) + 1, s)
        taps = padded[:, :, down, across].transpose(0, 2, 3, 1).reshape(-1, C)
        dw[:, :, u, v] = flat.T @ taps
        dtaps = (flat @ w[:, :, u, v]).reshape(N, rows, cols, C)
        dpadded[:, :, down, across] += dtaps.transpose(0, 3, 1, 2)
    dx = dpadded[:, :, p : p + H, p : p + W]
    return dx, dw, db


def conv_forward_im2col(x, w, b, conv_param):
    s, p = conv_param["stride"], conv_param["pad"]
    d = conv_param.get("dilation", 1)
    (N, C, H, W), (F, _, HH, WW) = x.shape, w.shape
    padded = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)))
    high, wide = d * (HH - 1) + 1, d * (WW - 1) + 1
    rows, cols = (H + 2 * p - high) // s + 1, (W + 2 * p - wide) // s + 1
    windows = np.zeros((N, rows, cols, C, HH, WW), x.dtype)
    for u, v in np.ndindex(HH, WW):
        top, left = u * d, v * d
        taps = padded[:, :, top : top + s * rows : s, left : left + s * cols : s]
        windows[..., u, v] = taps[:, :, :rows, :cols].transpose(0, 2, 3, 1)
    columns = windows.reshape(N * rows * cols, C * HH * WW)
    out = columns @ w.reshape(F, -1).T
    out = out + b
    out = out.reshape(N, rows, cols, F).transpose(0, 3, 1, 2)
    return out, (x.shape, w, s, p, d, columns)


def conv_backward_im2col(dout, cache):
    (N, C, H, W), w, s, p, d, columns = cache
    F, _, HH, WW = w.shape
    rows, cols = dout.shape[2:]
    flat = dout.transpose(0, 2, 3, 1).reshape(-1, F)
    dw = (flat.T @ columns).reshape(w.shape)
    db = flat.sum(axis=0)
    dwindows = (flat @ w.reshape(F, -1)).reshape(N, rows, cols, C, HH, WW)
    dpadded = np.zeros((N, C, H + 2 * p, W + 2 * p), dout.dtype)
    for u, v in np.ndindex(HH, WW):
        top, left = u * d, v * d
        down = slice(top, top + s * (rows - 1) + 1, s)
        across = slice(left, left + s * (cols - 1) + 1, s)
        dpadded[:, :, down, across] += dwindows[..., u, v].transpose(0, 3, 1, 2)
    dx = dpadded[:, :, p : p + H, p : p + W]
    return dx, dw, db


def max_pool_forward_naive(x, pool_param):
    high, wide = pool_param["pool_height"], pool_param["pool_width"]
    s = pool_param["stride"]
    N, C, H, W = x.shape
    rows, cols = (H - high) // s + 1, (W - wide) // s + 1
    out = np.zeros((N, C, rows, cols), x.dtype)
    for i, j in np.ndindex(rows, cols):
        patch = x[:, :, i * s : i * s + high, j * s : j * s + wide]
        out[:, :, i, j] = patch.max(axis=(2, 3))
    return out, (x, high, wide, s)


def max_pool_backward_naive(dout, cache):
    x, high, wide, s = cache
    dx = np.zeros(x.shape, dout.dtype)
    for n, c, i, j in np.ndindex(dout.shape):
        top, left = i * s, j * s
        patch = x[n, c, top : top + high, left : left + wide]
        u, v = divmod(int(patch.argmax()), wide)
        dx[n, c, top + u, left + v] += dout[n, c, i, j]
    return dx


def avg_pool_forward_naive(x, pool_param):
    high, wide = pool_param["pool_height"], pool_param["pool_width"]
    s = pool_param["stride"]
    N, C, H, W = x.shape
    rows, cols = (H - high) // s + 1, (W - wide) // s + 1
    out = np.zeros((N, C, rows, cols), x.dtype)
    for i, j in np.ndindex(rows, cols):
        patch = x[:, :, i * s : i * s + high, j * s : j * s + wide]
        out[:, :, i, j] = patch.mean(axis=(2, 3))
    return out, (x.shape, high, wide, s)


def avg_pool_backward_naive(dout, cache):
    shape, high, wide, s = cache
    dx = np.zeros(shape, dout.dtype)
    for i, j in np.ndindex(*dout.shape[2:]):
        top, left = i * s, j * s
        share = dout[:, :, i, j] / (high * wide)
        dx[:, :, top : top + high, left : left + wide] += share[:, :, None, None]
    return dx


def conv1x1(x, w, b):
    N, C, H, W = x.shape
    pixels = x.reshape(N, C, H * W)
    out = w @ pixels + b[:, None]
    return out.reshape(N, len(w), H, W)


def receptive_field(layers):
    field, step = 1, 1
    for kernel, stride, *more in layers:
        dilation = more[0] if more else 1
        field += dilation * (kernel - 1) * step
        step *= stride
    return field


def count_parameters(c_in, c_out, kernel, bias=True):
    high, wide = kernel if isinstance(kernel, tuple) else (kernel, kernel)
    weights = c_in * c_out * high * wide
    return weights + (c_out if bias else 0)


def count_operations(c_in, c_out, kernel, out_h, out_w):
    high, wide = kernel if isinstance(kernel, tuple) else (kernel, kernel)
    weights = c_in * c_out * high * wide
    return 2 * weights * out_h * out_w


class ThreeLayerConvNet:
    def __init__(
        self,
        input_dim=(3, 32, 32),
        num_filters=32,
        filter_size=7,
        hidden_dim=100,
        num_classes=10,
        weight_scale=1e-3,
        reg=0.0,
        dtype=np.float32,
    ):
        self.reg, self.pad = reg, (filter_size - 1) // 2
        rng = np.random.default_rng()
        C, H, W = input_dim
        F, D = num_filters, num_filters * (H // 2) * (W // 2)
        W1 = rng.normal(0.0, weight_scale, (F, C, filter_size, filter_size))
        W2 = rng.normal(0.0, weight_scale, (D, hidden_dim))
        W3 = rng.normal(0.0, weight_scale, (hidden_dim, num_classes))
        b1, b2, b3 = np.zeros(F), np.zeros(hidden_dim), np.zeros(num_classes)
        params = {"W1": W1, "b1": b1, "W2": W2, "b2": b2, "W3": W3, "b3": b3}
        self.params = {name: value.astype(dtype) for name, value in params.items()}

    def loss(self, X, y=None):
        W1, b1, W2, b2, W3, b3 = (self.params[n] for n in "W1 b1 W2 b2 W3 b3".split())
        conv = {"stride": 1, "pad": self.pad}
        pool = {"pool_height": 2, "pool_width": 2, "stride": 2}
        maps, c1 = conv_forward_im2col(X, W1, b1, conv)
        active, c2 = relu_forward(maps)
        small, c3 = max_pool_forward_naive(active, pool)
        hidden, c4 = affine_forward(small, W2, b2)
        rectified, c5 = relu_forward(hidden)
        scores, c6 = affine_forward(rectified, W3, b3)
        if y is None:
            return scores
        loss, dscores = softmax_loss(scores, y)
        squares = (W1**2).sum() + (W2**2).sum() + (W3**2).sum()
        loss += 0.5 * self.reg * squares
        drectified, dW3, db3 = affine_backward(dscores, c6)
        dhidden = relu_backward(drectified, c5)
        dsmall, dW2, db2 = affine_backward(dhidden, c4)
        dactive = max_pool_backward_naive(dsmall, c3)
        dmaps = relu_backward(dactive, c2)
        _, dW1, db1 = conv_backward_im2col(dmaps, c1)
        dW1 = dW1 + self.reg * W1
        dW2 = dW2 + self.reg * W2
        dW3 = dW3 + self.reg * W3
        grads = {"W1": dW1, "b1": db1, "W2": dW2, "b2": db2, "W3": dW3, "b3": db3}
        return loss, grads


def torch_twin(params):
    W1, b1, W2, b2, W3, b3 = (params[n] for n in "W1 b1 W2 b2 W3 b3".split())
    values = [W1, b1, W2.T, b2, W3.T, b3]
    (F, C, size, _), (D, M), K = W1.shape, W2.shape, W3.shape[1]
    twin = torch.nn.Sequential(
        torch.nn.Conv2d(C, F, size, padding=size // 2),
        torch.nn.ReLU(),
        torch.nn.MaxPool2d(2),
        torch.nn.Flatten(),
        torch.nn.Linear(D, M),
        torch.nn.ReLU(),
        torch.nn.Linear(M, K),
    )
    for parameter, value in zip(twin.parameters(), values, strict=True):
        parameter.data = torch.tensor(value)
    return twin
