"""Topic 04, right answers that look unlike the usual ones, to sample a class from.

``UNUSUAL`` maps a group of functions that belong together to answers, each of them the
functions of that group under the names that the notebook gives them. They need no more
than NumPy as ``np``, so that their source can stand in a notebook.
"""

from collections.abc import Callable

import numpy as np

from grader.checks.unusual import collect_into

UNUSUAL: dict[str, list[tuple[Callable, ...]]] = {}
_unusual = collect_into(UNUSUAL)


@_unusual
def filter2d__by_shifts():
    def filter2d(image, kernel):
        (H, W), (h, w) = image.shape, kernel.shape
        canvas = np.zeros((H + h - 1, W + w - 1), image.dtype)
        for i in range(h):
            for j in range(w):
                canvas[h - 1 - i : h - 1 - i + H, w - 1 - j : w - 1 - j + W] += (
                    kernel[i, j] * image
                )
        return canvas[h // 2 : h // 2 + H, w // 2 : w // 2 + W]

    return (filter2d,)


@_unusual
def conv_output_size__by_counting():
    def conv_output_size(size, kernel, stride=1, padding=0, dilation=1):
        if np.ndim(size):
            n = len(size)
            every = np.broadcast_arrays(
                size, *(np.resize(v, n) for v in (kernel, stride, padding, dilation))
            )
            return tuple(
                int(conv_output_size(*map(int, one))) for one in np.array(every).T
            )
        last = size + 2 * padding - dilation * (kernel - 1)
        return len(range(0, last, stride))

    return (conv_output_size,)


@_unusual
def conv_naive__four_loops():
    def conv_forward_naive(x, w, b, conv_param):
        step, pad = conv_param["stride"], conv_param["pad"]
        gap = conv_param["dilation"] if "dilation" in conv_param else 1
        N, C, H, W = x.shape
        F, C, h, v = w.shape
        big = np.zeros((N, C, H + 2 * pad, W + 2 * pad), dtype=x.dtype)
        big[:, :, pad : H + pad, pad : W + pad] = x
        rows = 1 + (H + 2 * pad - gap * (h - 1) - 1) // step
        cols = 1 + (W + 2 * pad - gap * (v - 1) - 1) // step
        out = np.empty((N, F, rows, cols), dtype=x.dtype)
        for n in range(N):
            for f in range(F):
                for i in range(rows):
                    for j in range(cols):
                        seen = big[n, :, i * step :, j * step :][:, ::gap, ::gap]
                        out[n, f, i, j] = np.sum(seen[:, :h, :v] * w[f]) + b[f]
        return out, (x, w, b, conv_param)

    def conv_backward_naive(dout, cache):
        x, w, b, conv_param = cache
        step, pad = conv_param["stride"], conv_param["pad"]
        gap = conv_param.get("dilation", 1)
        H, W = x.shape[2:]
        big = np.pad(x, [(0, 0), (0, 0), (pad, pad), (pad, pad)])
        dbig, dw, db = np.zeros_like(big), np.zeros_like(w), np.zeros_like(b)
        for n, f, i, j in np.ndindex(dout.shape):
            rows = i * step + gap * np.arange(w.shape[2])
            cols = j * step + gap * np.arange(w.shape[3])
            place = (n, np.arange(x.shape[1])[:, None, None], rows[:, None], cols)
            dbig[place] += dout[n, f, i, j] * w[f]
            dw[f] += dout[n, f, i, j] * big[place]
            db[f] += dout[n, f, i, j]
        return dbig[:, :, pad : H + pad, pad : W + pad], dw, db

    return conv_forward_naive, conv_backward_naive


@_unusual
def max_pool__by_sorting():
    def max_pool_forward_naive(x, pool_param):
        shape = pool_param["pool_height"], pool_param["pool_width"]
        windows = np.lib.stride_tricks.sliding_window_view(x, shape, axis=(2, 3))
        step = pool_param["stride"]
        windows = windows[:, :, ::step, ::step]
        return np.sort(windows.reshape(*windows.shape[:4], -1))[..., -1], (
            x,
            pool_param,
        )

    def max_pool_backward_naive(dout, cache):
        x, pool_param = cache
        step, dx = pool_param["stride"], np.zeros_like(x)
        for i in range(dout.shape[2]):
            for j in range(dout.shape[3]):
                part = np.s_[
                    :,
                    :,
                    i * step : i * step + pool_param["pool_height"],
                    j * step : j * step + pool_param["pool_width"],
                ]
                window = x[part].reshape(*x.shape[:2], -1)
                last = window.shape[2] - 1 - window[..., ::-1].argmax(axis=2)
                hot = np.arange(window.shape[2]) == last[..., None]
                dx[part] += (hot * dout[:, :, i, j, None]).reshape(x[part].shape)
        return dx

    return max_pool_forward_naive, max_pool_backward_naive


@_unusual
def avg_pool__by_running_sums():
    def avg_pool_forward_naive(x, pool_param):
        h, w = pool_param["pool_height"], pool_param["pool_width"]
        step = pool_param["stride"]
        sums = np.zeros((*x.shape[:2], x.shape[2] + 1, x.shape[3] + 1))
        sums[:, :, 1:, 1:] = x.astype(float).cumsum(axis=2).cumsum(axis=3)
        box = sums[:, :, h:, w:] - sums[:, :, :-h, w:]
        box = box - sums[:, :, h:, :-w] + sums[:, :, :-h, :-w]
        out = box[:, :, ::step, ::step] / (h * w)
        return out.astype(x.dtype), (x.shape, h, w, step)

    def avg_pool_backward_naive(dout, cache):
        shape, h, w, step = cache
        dx = np.zeros(shape, dout.dtype)
        rows, cols = dout.shape[2:]
        for u in range(h):
            for v in range(w):
                dx[:, :, u : u + step * rows : step, v : v + step * cols : step][
                    :, :, :rows, :cols
                ] += dout / (h * w)
        return dx

    return avg_pool_forward_naive, avg_pool_backward_naive


@_unusual
def conv_im2col__one_column_per_place():
    def conv_forward_im2col(x, w, b, conv_param):
        s, p = conv_param["stride"], conv_param["pad"]
        d = conv_param.get("dilation", 1)
        (N, C, H, W), (F, _, h, v) = x.shape, w.shape
        rows = (H + 2 * p - d * (h - 1) - 1) // s + 1
        cols = (W + 2 * p - d * (v - 1) - 1) // s + 1
        k = np.repeat(np.arange(C), h * v)[:, None]
        i = np.tile(np.repeat(d * np.arange(h), v), C)[:, None]
        i = i + np.repeat(s * np.arange(rows), cols)
        j = np.tile(d * np.arange(v), h * C)[:, None]
        j = j + np.tile(s * np.arange(cols), rows)
        padded = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)))
        columns = padded[:, k, i, j]
        out = w.reshape(F, -1) @ columns + b[:, None]
        places = padded.shape, k, i, j
        return out.reshape(N, F, rows, cols), (columns, w, p, x.shape, places)

    def conv_backward_im2col(dout, cache):
        columns, w, p, shape, (padded_shape, k, i, j) = cache
        flat = dout.reshape(*dout.shape[:2], -1)
        dw = np.matmul(flat, columns.transpose(0, 2, 1)).sum(axis=0).reshape(w.shape)
        dcolumns = w.reshape(len(w), -1).T @ flat
        dpadded = np.zeros(padded_shape, dout.dtype)
        np.add.at(dpadded, (slice(None), k, i, j), dcolumns)
        dx = dpadded[:, :, p : p + shape[2], p : p + shape[3]]
        return dx, dw, flat.sum(axis=(0, 2))

    return conv_forward_im2col, conv_backward_im2col


@_unusual
def conv1x1__by_einsum():
    def conv1x1(x, w, b):
        return np.einsum("nchw,fc->nfhw", x, w) + b.reshape(1, -1, 1, 1)

    return (conv1x1,)


@_unusual
def receptive_field__from_the_end():
    def receptive_field(layers):
        field = 1
        for layer in reversed(layers):
            kernel, stride, dilation = (*layer, 1)[:3]
            field = (field - 1) * stride + dilation * (kernel - 1) + 1
        return field

    return (receptive_field,)


@_unusual
def counts__by_products():
    def count_parameters(c_in, c_out, kernel, bias=True):
        taps = np.prod(np.broadcast_to(kernel, 2))
        return int(c_out * c_in * taps) + c_out * int(bias)

    def count_operations(c_in, c_out, kernel, out_h, out_w):
        taps = np.prod(kernel) if isinstance(kernel, tuple) else kernel**2
        return out_h * out_w * c_out * (c_in * taps + c_in * taps)

    return count_parameters, count_operations
