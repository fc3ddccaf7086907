"""Topic 09, known wrong answers: convolutions as matrices, and turned around."""

from grader.checks.segmentation import answers as right
from grader.checks.segmentation.mistakes import FLOAT32, GRAPH
from grader.mistakes import table

conv_matrix = table(
    right.conv_matrix,
    (
        "flipped",
        "the kernel is flipped: in deep learning, a convolution is a cross-correlation",
        (
            "kernel = kernel.detach()",
            "kernel = kernel.detach().flip(*range(kernel.ndim))",
        ),
    ),
    (
        "transposed",
        "the matrix is transposed: rows belong to outputs, columns to inputs",
        ("padded[:, p : p + size].clone()", "padded[:, p : p + size].T.clone()"),
        (
            "inside.reshape(rows * cols, H * W).clone()",
            "inside.reshape(rows * cols, H * W).T.clone()",
        ),
    ),
    (
        "stride ignored",
        "stride is ignored: outputs lie `stride` pixels apart",
        ("s, p = stride, padding", "s, p = 1, padding"),
    ),
    (
        "padding ignored",
        "padding is ignored",
        ("s, p = stride, padding", "s, p = stride, 0"),
    ),
    (
        "columns of the padding kept",
        "the columns of the padding are still there: they belong to no pixel",
        ("padded[:, p : p + size].clone()", "padded"),
        ("padded[:, :, p : p + H, p : p + W]", "padded"),
        ("inside.reshape(rows * cols, H * W)", "inside.reshape(rows * cols, -1)"),
    ),
    (
        "padding on one side",
        "all the padding lies before the first pixel: it has two sides",
        ("padded[:, p : p + size].clone()", "padded[:, 2 * p :].clone()"),
        ("padded[:, :, p : p + H, p : p + W]", "padded[:, :, 2 * p :, 2 * p :]"),
    ),
    (
        "column-major outputs",
        "outputs are counted column by column: rows come first",
        (
            "inside = padded[",
            "padded = padded.swapaxes(0, 1)\n    inside = padded[",
        ),
    ),
    (
        "column-major inputs",
        "pixels are counted column by column: rows come first",
        (
            "inside.reshape(rows * cols, H * W)",
            "inside.swapaxes(2, 3).reshape(rows * cols, H * W)",
        ),
    ),
    (
        "a matrix for each axis",
        "four axes come out in two dimensions: make a matrix of them",
        ("inside.reshape(rows * cols, H * W).clone()", "inside.clone()"),
    ),
    (
        "strides without columns",
        "in two dimensions only the rows take strides: columns do, too",
        ("j * s : j * s + kw", "j : j + kw"),
    ),
    ("graph", GRAPH, ("    kernel = kernel.detach()\n", "")),
    (
        "float32",
        FLOAT32,
        ("kernel = kernel.detach()", "kernel = kernel.detach().float()"),
    ),
)

conv_transpose2d_naive = table(
    right.conv_transpose2d_naive,
    (
        "overwritten",
        "where stamps overlap, the last one stays: they add up",
        ("j * s + kw] += stamps", "j * s + kw] = stamps"),
    ),
    (
        "flipped",
        "the kernels are flipped: each number of x stamps w as it is",
        (
            '"nc,cduv->nduv", x[:, :, i, j], w',
            '"nc,cduv->nduv", x[:, :, i, j], w.flip(2, 3)',
        ),
    ),
    (
        "stride ignored",
        "stride is ignored: stamps lie `stride` pixels apart",
        ("s, p = stride, padding", "s, p = 1, padding"),
    ),
    (
        "padding ignored",
        "padding is ignored: here it crops the result on all sides",
        ("s, p = stride, padding", "s, p = stride, 0"),
    ),
    (
        "padding added",
        "padding makes the result larger: here it crops",
        (
            "out = out[:, :, p : high - p, p : wide - p]",
            "out = torch.nn.functional.pad(out, (p, p, p, p))",
        ),
    ),
    (
        "cropped on one side",
        "all that padding crops is taken from the upper left: it has two sides",
        ("p : high - p, p : wide - p", "2 * p :, 2 * p :"),
    ),
    (
        "cropped by -0",
        "with padding 0, a slice up to -0 is empty",
        ("p : high - p, p : wide - p", "p:-p, p:-p"),
    ),
    (
        "no bias",
        "the bias is not added",
        ("return out + b[:, None, None]", "return out"),
    ),
    (
        "bias in every stamp",
        "the bias is added with each stamp: once for each pixel",
        ("j * s + kw] += stamps", "j * s + kw] += stamps + b[:, None, None]"),
        ("return out + b[:, None, None]", "return out"),
    ),
    (
        "channels averaged",
        "the stamps are averaged over the channels: they add up",
        ("x[:, :, i, j], w)", "x[:, :, i, j], w) / x.shape[1]"),
    ),
    (
        "output of the convolution",
        "the result is as small as a convolution's: the transpose makes it larger",
        (
            "    high, wide =",
            "    if H >= kh and W >= kw and x.shape[1] == Co:\n"
            "        return torch.nn.functional.conv2d(x, w, b, s, p)\n"
            "    high, wide =",
        ),
    ),
    (
        "one output padding",
        "the result has a row and a column too many: (H - 1) stride - 2 padding + kh",
        (
            "(H - 1) * s + kh, (W - 1) * s + kw",
            "(H - 1) * s + kh + 1, (W - 1) * s + kw + 1",
        ),
    ),
    (
        "height and width swapped",
        "stamps go along the wrong axes: i counts rows, j columns",
        (
            "for i in range(H):\n        for j in range(W):\n            stamps",
            "for i in range(H):\n        for j in range(W):\n            i, j = j, i\n"
            "            stamps",
        ),
        ("(N, _, H, W), (_,", "x = x.swapaxes(2, 3)\n    (N, _, W, H), (_,"),
    ),
    (
        "graph",
        GRAPH,
        ("x, w, b = x.detach(), w.detach(), b.detach()", "x, w, b = x, w, b"),
    ),
    (
        "float32",
        FLOAT32,
        ("x.detach(), w.detach(), b.detach()", "x.float(), w.float(), b.float()"),
        ("return out + b[:, None, None]", "return (out + b[:, None, None]).detach()"),
    ),
)

fc_to_conv = table(
    right.fc_to_conv,
    (
        "1x1",
        "the kernels are 1×1: the first fully connected layer sees the whole map, so"
        " its kernel is H×W",
        ("nn.Conv2d(C, num_out, (H, W),", "nn.Conv2d(C * H * W, num_out, 1,"),
        ("linear.weight.reshape(num_out, C, H, W)", "linear.weight[:, :, None, None]"),
    ),
    (
        "square",
        "the kernel is square: take height and width of in_shape",
        ("(H, W),", "(W, W),"),
        (
            "reshape(num_out, C, H, W))",
            "reshape(num_out, C, H, W)[:, :, :1].expand(-1, -1, W, -1))",
        ),
    ),
    (
        "height and width swapped",
        "height and width of the kernels are swapped",
        ("(H, W),", "(W, H),"),
        ("reshape(num_out, C, H, W)", "reshape(num_out, C, W, H)"),
    ),
    (
        "channels last",
        "the weights are read as if channels came last: a flattened map has them first",
        ("reshape(num_out, C, H, W)", "reshape(num_out, H, W, C).permute(0, 3, 1, 2)"),
    ),
    (
        "flipped",
        "the kernels are flipped: a convolution here is a cross-correlation",
        ("reshape(num_out, C, H, W)", "reshape(num_out, C, H, W).flip(2, 3)"),
    ),
    (
        "padded",
        "the convolution is padded: the layer has a single place in its own map",
        ("bias=has_bias,", "bias=has_bias, padding=(H // 2, W // 2),"),
    ),
    (
        "strided",
        "the convolution jumps from window to window: it slides by one pixel",
        ("bias=has_bias,", "bias=has_bias, stride=(H, W),"),
    ),
    (
        "bias not copied",
        "the bias is not that of the layer",
        ("conv.bias.copy_(linear.bias)", "conv.bias.zero_()"),
    ),
    (
        "bias invented",
        "a layer without bias becomes a convolution with one",
        ("bias=has_bias,", "bias=True,"),
    ),
    (
        "bias expected",
        "a layer without bias fails: its bias is None",
        (
            "        if has_bias:\n            conv.bias",
            "        if True:\n            conv.bias",
        ),
    ),
    (
        "memory shared",
        "both share their memory, so training one changes the other: copy",
        (
            "        conv.weight.copy_(linear.weight.reshape(num_out, C, H, W))",
            "        conv.weight.data = linear.weight.data.reshape(num_out, C, H, W)",
        ),
    ),
    (
        "frozen",
        "the parameters of the convolution can't be trained: they don't require"
        " gradients",
        ("    return conv", "    return conv.requires_grad_(False)"),
    ),
    (
        "float32",
        "the convolution is float32 whatever the layer is",
        ("dtype = linear.weight.dtype", "dtype = torch.float32"),
    ),
)
