"""Topic 04, on what: data over all of the range that the stubs promise."""

import numpy as np

from grader.checks.backprop.cases import normal


def filters(rng):
    """Square kernels and others, on images that are not square; a kernel too large."""
    shapes = [((5, 7), (3, 3)), ((6, 4), (1, 5)), ((4, 6), (5, 3)), ((3, 2), (5, 7))]
    shapes += [((1, 6), (3, 1)), ((5, 5), (1, 1))]
    return [{"image": normal(rng, *i), "kernel": normal(rng, *k)} for i, k in shapes]


def filters_float32(rng):
    return [
        {
            "image": normal(rng, *i, dtype=np.float32),
            "kernel": normal(rng, 3, 3, dtype=np.float32),
        }
        for i in [(5, 4), (1, 3)]
    ]


# --- convolution ---


def _conv(rng, shape, kernel, stride=1, pad=0, dilation=None, dtype=np.float64):
    """One case; ``kernel`` is (F, HH, WW). Dilation is named only if it is given."""
    F, HH, WW = kernel
    param = {"stride": stride, "pad": pad}
    return {
        "x": normal(rng, *shape, dtype=dtype),
        "w": normal(rng, F, shape[1], HH, WW, dtype=dtype),
        "b": normal(rng, F, dtype=dtype),
        "conv_param": param if dilation is None else {**param, "dilation": dilation},
    }


def conv_padded(rng):
    """Stride 1 with zeros around; one sample, one channel, one filter, too."""
    return [
        _conv(rng, (2, 3, 5, 7), (4, 3, 3), pad=1),
        _conv(rng, (3, 2, 6, 4), (2, 2, 3), pad=2),
        _conv(rng, (1, 1, 4, 5), (1, 3, 1), pad=1),
        _conv(rng, (2, 1, 3, 2), (3, 4, 5), pad=3),
    ]


def conv_unpadded(rng):
    """Padding 0, up to a kernel as large as the image."""
    return [
        _conv(rng, (2, 3, 6, 5), (4, 3, 2)),
        _conv(rng, (1, 2, 4, 4), (3, 2, 2)),
        _conv(rng, (2, 2, 3, 4), (5, 1, 1)),
        _conv(rng, (3, 1, 4, 3), (2, 4, 3)),
    ]


def conv_strided(rng):
    """Strides 2 and 3, where windows end at the border, and where some is unused."""
    return [
        _conv(rng, (2, 3, 7, 9), (4, 3, 3), stride=2, pad=1),
        _conv(rng, (2, 2, 8, 7), (3, 3, 2), stride=2),
        _conv(rng, (1, 3, 9, 8), (2, 2, 4), stride=3, pad=2),
        _conv(rng, (3, 1, 8, 10), (2, 2, 1), stride=3),
    ]


def conv_dilated(rng):
    return [
        _conv(rng, (2, 3, 7, 9), (4, 3, 3), dilation=2),
        _conv(rng, (2, 2, 9, 8), (3, 2, 3), stride=2, pad=1, dilation=3),
        _conv(rng, (1, 1, 8, 7), (2, 3, 2), stride=3, pad=2, dilation=2),
        _conv(rng, (2, 2, 5, 6), (2, 2, 3), pad=1, dilation=1),
    ]


def conv_float32(rng):
    return [
        _conv(rng, (2, 2, 5, 6), (3, 3, 2), stride=2, pad=1, dtype=np.float32),
        _conv(rng, (1, 3, 4, 4), (2, 2, 2), dtype=np.float32),
        _conv(rng, (2, 1, 6, 5), (2, 2, 2), dilation=2, dtype=np.float32),
    ]


# with so many places a loop over them takes three times as long, one product a tenth
SECONDS = 0.75


def conv_large(rng):
    case = _conv(rng, (1, 1, 512, 512), (2, 3, 3), pad=1, dtype=np.float32)
    return [{**case, "seconds": SECONDS}]


def _out_size(case, high, wide, stride, pad=0, dilation=1):
    H, W = case["x"].shape[2:]
    span_h, span_w = dilation * (high - 1) + 1, dilation * (wide - 1) + 1
    return (H + 2 * pad - span_h) // stride + 1, (W + 2 * pad - span_w) // stride + 1


def with_conv_dout(cases):
    """Add an upstream gradient to cases of a convolution."""

    def make(rng):
        made = []
        for case in cases(rng):
            F, _, high, wide = case["w"].shape
            param = case["conv_param"]
            sizes = _out_size(case, high, wide, *param.values())
            dout = normal(rng, len(case["x"]), F, *sizes, dtype=case["x"].dtype)
            made.append({**case, "dout": dout})
        return made

    return make


def conv1x1(rng):
    shapes = [
        ((2, 3, 4, 5), 6),
        ((3, 4, 4, 4), 4),
        ((1, 2, 3, 1), 3),
        ((2, 1, 3, 2), 2),
    ]
    shapes += [((2, 3, 2, 2), 1)]
    return [_pixels(rng, *shape) for shape in shapes]


def conv1x1_float32(rng):
    return [
        _pixels(rng, (2, 3, 2, 4), 5, np.float32),
        _pixels(rng, (1, 1, 3, 3), 1, np.float32),
    ]


def _pixels(rng, shape, F, dtype=np.float64):
    return {
        "x": normal(rng, *shape, dtype=dtype),
        "w": normal(rng, F, shape[1], dtype=dtype),
        "b": normal(rng, F, dtype=dtype),
    }


# --- pooling ---


def _pool(rng, shape, high, wide, stride, dtype=np.float64, shift=0.0):
    return {
        "x": normal(rng, *shape, dtype=dtype) + dtype(shift),
        "pool_param": {"pool_height": high, "pool_width": wide, "stride": stride},
    }


def pool_apart(rng):
    """Windows side by side, that fill the image; values of one sign, too."""
    return [
        _pool(rng, (2, 3, 4, 6), 2, 2, 2),
        _pool(rng, (3, 2, 6, 3), 3, 3, 3),
        _pool(rng, (1, 1, 4, 4), 2, 2, 2, shift=-9.0),
        _pool(rng, (2, 2, 3, 3), 1, 1, 1),
    ]


def pool_not_square(rng):
    """Windows that are not square, or leave gaps or a border."""
    return [
        _pool(rng, (2, 3, 6, 7), 2, 3, 3),
        _pool(rng, (2, 1, 7, 5), 3, 1, 3),
        _pool(rng, (1, 2, 8, 9), 1, 2, 3),
        _pool(rng, (2, 2, 5, 5), 2, 2, 2, shift=-1e6),
        _pool(rng, (1, 3, 4, 5), 4, 5, 1),
    ]


def pool_overlapping(rng):
    return [
        _pool(rng, (2, 3, 5, 6), 3, 3, 1),
        _pool(rng, (2, 2, 7, 5), 3, 3, 2),
        _pool(rng, (1, 2, 6, 7), 2, 4, 1, shift=-9.0),
        _pool(rng, (3, 1, 8, 7), 4, 3, 2),
    ]


def pool_float32(rng):
    return [
        _pool(rng, (2, 2, 5, 6), 2, 3, 2, np.float32),
        _pool(rng, (1, 1, 4, 4), 2, 2, 2, np.float32, shift=-9.0),
        _pool(rng, (1, 2, 4, 5), 3, 2, 1, np.float32),
    ]


def pool_tied(rng):
    """Planes of few values, so that windows, apart or overlapping, hold ties.

    Upstream gradients are positive, so that what tied entries may get is easily told;
    the number of windows in a plane is small.
    """
    settings = [(4, 4, 2, 2, 2), (3, 4, 2, 2, 1), (4, 6, 2, 3, 2), (3, 3, 3, 3, 1)]
    settings += [(4, 3, 2, 2, 1), (6, 4, 3, 2, 2), (4, 8, 2, 4, 2)]
    cases = []
    for H, W, high, wide, stride in settings:
        case = _pool(rng, (3, 2, H, W), high, wide, stride)
        x = rng.integers(0, 2, size=case["x"].shape).astype(np.float64)
        x[0, 0] = 0.0
        x[1, 1] -= 3.0
        sizes = _out_size(case, high, wide, stride)
        dout = rng.uniform(0.5, 2.0, size=(3, 2, *sizes))
        cases.append({**case, "x": x, "dout": dout})
    # what a ReLU makes, in float32
    relu = {
        name: value.astype(np.float32)
        for name, value in cases[0].items()
        if name != "pool_param"
    }
    return [*cases, {**cases[0], **relu}]


def with_pool_dout(cases):
    """Add an upstream gradient to cases of pooling."""

    def make(rng):
        made = []
        for case in cases(rng):
            sizes = _out_size(case, *case["pool_param"].values())
            dout = normal(rng, *case["x"].shape[:2], *sizes, dtype=case["x"].dtype)
            made.append({**case, "dout": dout})
        return made

    return make


# --- nets ---


def _convnet(rng, N, input_dim, num_filters, size, hidden, classes, dtype, **more):
    C, H, W = input_dim
    D = num_filters * (H // 2) * (W // 2)
    shapes = {
        "W1": (num_filters, C, size, size),
        "b1": (num_filters,),
        "W2": (D, hidden),
    }
    shapes |= {"b2": (hidden,), "W3": (hidden, classes), "b3": (classes,)}
    names = ("input_dim", "num_filters", "filter_size", "hidden_dim", "num_classes")
    values = (input_dim, num_filters, size, hidden, classes)
    kind = np.dtype(dtype or "float32").type
    params = {name: 0.7 * normal(rng, *s, dtype=kind) for name, s in shapes.items()}
    # so that the first ReLU has something to do even after the maximum
    params["b1"] -= kind(2)
    return {
        "dtype": dtype,
        "arguments": dict(zip(names, values, strict=True)) | more,
        "params": params,
        "X": normal(rng, N, *input_dim, dtype=kind),
        "y": rng.integers(classes, size=N),
    }


def convnet(rng):
    """Square images and others, even and odd sizes, one sample; without L2."""
    return [
        _convnet(rng, 4, (2, 6, 4), 3, 3, 5, 4, "float64"),
        _convnet(rng, 3, (1, 5, 7), 2, 5, 4, 3, "float64"),
        _convnet(rng, 1, (3, 2, 3), 4, 1, 3, 5, "float64"),
    ]


def convnet_regularized(rng):
    return [
        _convnet(rng, 3, (2, 4, 4), 3, 3, 4, 3, "float64", reg=0.3, weight_scale=0.1),
        _convnet(rng, 1, (1, 5, 4), 2, 3, 3, 4, "float64", reg=0.5),
    ]


def convnet_float32(rng):
    """float32, as it is by default."""
    return [
        _convnet(rng, 3, (2, 4, 6), 2, 3, 4, 3, None, reg=0.1),
        _convnet(rng, 2, (1, 4, 4), 3, 3, 3, 3, "float32"),
    ]


def _start(dtype, **arguments):
    X, y = np.zeros((1, 1, 2, 2)), np.zeros(1, dtype=np.int64)
    return {"dtype": dtype, "arguments": arguments, "params": {}, "X": X, "y": y}


def convnet_start(rng):
    """Nets large enough for statistics."""
    sizes = {"input_dim": (3, 12, 9), "num_filters": 20, "filter_size": 7}
    sizes |= {"hidden_dim": 30, "num_classes": 50}
    return [_start("float64", **sizes), _start("float64", **sizes, weight_scale=0.25)]


def convnet_default(rng):
    return [_start(None)]


def twin(rng):
    """Params of nets of any form, with tensors to try them on."""
    import torch

    cases = []
    for case in (
        _convnet(rng, 4, (2, 6, 4), 3, 3, 5, 4, "float32"),
        _convnet(rng, 3, (1, 5, 7), 2, 5, 6, 3, "float32"),
        _convnet(rng, 2, (3, 4, 2), 4, 1, 4, 4, "float64"),
    ):
        X, y = torch.tensor(case["X"]), torch.tensor(case["y"])
        cases.append({"params": case["params"], "X": X, "y": y})
    return cases
