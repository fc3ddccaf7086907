"""Topic 04, known wrong answers: sizes, receptive fields, counts."""

from grader.checks.cnn import answers as right
from grader.mistakes import table

_FLOAT = "a size is a whole number: divide with //, which rounds down and stays an int"

conv_output_size = table(
    right.conv_output_size,
    ("float", _FLOAT, ("free // stride", "free / stride")),
    (
        "rounded up",
        "the size is rounded up: a window that sticks out is left away",
        ("free // stride", "-(-free // stride)"),
    ),
    (
        "rounded to nearest",
        "the size is rounded to the nearest whole number: a window that sticks out is"
        " left away",
        ("free // stride", "round(free / stride)"),
    ),
    (
        "padding once",
        "the padding is counted once: it stands on both sides",
        ("2 * padding", "padding"),
    ),
    ("padding ignored", "the padding is ignored", ("+ 2 * padding", "")),
    ("one too few", "the 1 at the end is missing", ("stride + 1", "stride")),
    (
        "added before dividing",
        "the 1 is added before the division by the stride: it comes after",
        ("free // stride + 1", "(free + 1) // stride"),
    ),
    (
        "stride ignored",
        "the stride is ignored",
        ("free // stride", "free"),
    ),
    (
        "dilation ignored",
        "the dilation is ignored",
        ("dilation * (kernel - 1)", "(kernel - 1)"),
    ),
    (
        "dilation times kernel",
        "a dilated kernel spans dilation * (kernel - 1) + 1 pixels, not dilation times"
        " kernel",
        ("dilation * (kernel - 1) + 1", "dilation * kernel"),
    ),
    (
        "list for a tuple",
        "a list comes back, where a tuple is promised for a tuple",
        (
            "return tuple(conv_output_size(*one) for one in ones)",
            "return [conv_output_size(*one) for one in ones]",
        ),
    ),
    (
        "first dimension",
        "the first kernel, stride, padding and dilation are used for all dimensions",
        ("[g if isinstance(g, tuple)", "[(g[0],) * n if isinstance(g, tuple)"),
    ),
    (
        "two dimensions",
        "only the first two dimensions come back",
        ("for one in ones)", "for one in list(ones)[:2])"),
    ),
    (
        "ints beside tuples",
        "an int beside a tuple of sizes is not understood: it holds for all dimensions",
        ("g if isinstance(g, tuple) else (g,) * n", "g"),
    ),
)

receptive_field = table(
    right.receptive_field,
    (
        "stride ignored",
        "strides are ignored: behind a stride, a step is that many input pixels wide",
        ("step *= stride", "step *= 1"),
    ),
    (
        "own stride counted",
        "a layer's own stride widens the steps of the layers after it, not its own",
        ("        field +=", "        step *= stride\n        field +="),
        ("        step *= stride\n    return", "    return"),
    ),
    (
        "strides added",
        "strides are added up: they multiply",
        ("step *= stride", "step += stride - 1"),
    ),
    (
        "last stride only",
        "only the stride of the layer before is counted: strides of all layers before"
        " multiply",
        ("step *= stride", "step = stride"),
    ),
    (
        "kernels added",
        "a layer adds its kernel size: it adds one less, as its own pixel was counted",
        ("(kernel - 1)", "kernel"),
    ),
    (
        "kernels multiplied",
        "kernel sizes are multiplied: each layer adds to the field",
        ("field += dilation * (kernel - 1) * step", "field *= kernel"),
    ),
    (
        "dilation ignored",
        "the dilation is ignored: a dilated kernel spans dilation * (kernel - 1) + 1",
        ("field += dilation * ", "field += "),
    ),
    (
        "dilation demanded",
        "a layer may come as (kernel, stride): then its dilation is 1",
        ("more[0] if more else 1", "more[0]"),
    ),
    (
        "dilation times kernel",
        "a dilated kernel spans dilation * (kernel - 1) + 1 pixels, not dilation times"
        " kernel",
        ("dilation * (kernel - 1)", "(dilation * kernel - 1)"),
    ),
    (
        "from output to input",
        "the list is read from its end: it goes from input to output",
        ("in layers:", "in layers[::-1]:"),
    ),
    (
        "one too few",
        "the pixel at the centre is not counted",
        ("field, step = 1, 1", "field, step = 0, 1"),
    ),
    (
        "list emptied",
        "your code changes `layers`: leave the list as it was",
        ("in layers:", "in [layers.pop(0) for _ in list(layers)]:"),
    ),
)

_BIAS = "c_out if bias else 0"

count_parameters = table(
    right.count_parameters,
    ("bias forgotten", "the biases are not counted", (_BIAS, "0")),
    ("bias always", "biases are counted where there are none", (_BIAS, "c_out")),
    (
        "one bias",
        "one bias is counted: each filter has its own",
        (_BIAS, "1 if bias else 0"),
    ),
    (
        "bias per input",
        "there is a bias for each channel in: each filter has one",
        (_BIAS, "c_in if bias else 0"),
    ),
    (
        "bias per weight",
        "there is a bias for each pair of channels: each filter has one",
        (_BIAS, "c_in * c_out if bias else 0"),
    ),
    (
        "input channels forgotten",
        "each filter is as deep as the image has channels: multiply by c_in, too",
        ("c_in * c_out * high", "c_out * high"),
    ),
    (
        "output channels forgotten",
        "the weights of one filter are counted: there are c_out filters",
        ("c_in * c_out * high", "c_in * high"),
    ),
    (
        "side not squared",
        "a square kernel has kernel x kernel taps in each channel",
        ("(kernel, kernel)", "(kernel, 1)"),
    ),
    (
        "square kernel",
        "the height of a kernel is taken for its width, too",
        ("high * wide\n", "high * high\n"),
    ),
)

count_operations = table(
    right.count_operations,
    ("once", "a product and a sum are two operations", ("return 2 * ", "return ")),
    (
        "one pixel",
        "the operations at one pixel are counted: they happen at each output pixel",
        (" * out_h * out_w", ""),
    ),
    (
        "height only",
        "the width of the output is not counted",
        (" * out_h * out_w", " * out_h"),
    ),
    (
        "square output",
        "the output is taken for a square: use its height and width",
        ("out_h * out_w", "out_h * out_h"),
    ),
    (
        "bias counted",
        "biases are counted: leave them away",
        (
            "weights = c_in * c_out * high * wide",
            "weights = (c_in * high * wide + 1) * c_out",
        ),
    ),
    (
        "bias as one operation",
        "biases are counted: leave them away",
        (
            "return 2 * weights * out_h * out_w",
            "return (2 * weights + c_out) * out_h * out_w",
        ),
    ),
    (
        "input channels forgotten",
        "each filter is as deep as the image has channels: multiply by c_in, too",
        ("c_in * c_out * high", "c_out * high"),
    ),
    (
        "output channels forgotten",
        "the operations of one filter are counted: there are c_out filters",
        ("c_in * c_out * high", "c_in * high"),
    ),
    (
        "sums one fewer",
        "count two operations for each weight: the first sum counts, too",
        (
            "return 2 * weights * out_h * out_w",
            "return (2 * weights - c_out) * out_h * out_w",
        ),
    ),
    (
        "square kernel",
        "the height of a kernel is taken for its width, too",
        ("high * wide\n", "high * high\n"),
    ),
)
