"""Topic 04, known wrong answers: filters, and 1x1 convolutions."""

from grader.checks.cnn import answers as right
from grader.checks.cnn.mistakes import FLIPPED
from grader.mistakes import FLOAT64, in_place, table

filter2d = table(
    right.filter2d,
    ("flipped", FLIPPED, ("(patch * kernel)", "(patch * kernel[::-1, ::-1])")),
    (
        "upside down",
        "the kernel is flipped upside down: it lies on the image as it is",
        ("(patch * kernel)", "(patch * kernel[::-1])"),
    ),
    (
        "edge repeated",
        "beyond the border the image is continued by its edge: it is 0 there",
        ("(left, left)))", '(left, left)), mode="edge")'),
    ),
    (
        "wrapped around",
        "beyond the border the image starts again on the other side: it is 0 there",
        ("(left, left)))", '(left, left)), mode="wrap")'),
    ),
    (
        "mirrored",
        "beyond the border the image is mirrored: it is 0 there",
        ("(left, left)))", '(left, left)), mode="symmetric")'),
    ),
    (
        "not centred",
        "the kernel's corner, not its centre, lies on the pixel",
        ("((up, up), (left, left))", "((0, 2 * up), (0, 2 * left))"),
    ),
    (
        "smaller",
        "the result is smaller than the image: surround it by zeros first",
        ("np.pad(image, ((up, up), (left, left)))", "image"),
        (
            "np.zeros(image.shape, image.dtype)",
            "np.zeros([m - n + 1 for m, n in zip(image.shape, kernel.shape)],"
            " image.dtype)",
        ),
        ("np.ndindex(image.shape)", "np.ndindex(out.shape)"),
    ),
    (
        "normalised",
        "the result is divided by the sum of the kernel: take the kernel as it is",
        ("(patch * kernel).sum()", "(patch * kernel).sum() / kernel.sum()"),
    ),
    (
        "averaged",
        "the products are averaged: add them up",
        (".sum()", ".mean()"),
    ),
    (
        "in place",
        in_place("image"),
        ("    return out", "    image[...] = out\n    return out"),
    ),
    ("float64", FLOAT64, ("image.shape, image.dtype", "image.shape")),
)

conv1x1 = table(
    right.conv1x1,
    ("no bias", "the bias is not added", (" + b[:, None]", "")),
    ("bias subtracted", "the bias is subtracted, not added", ("+ b[:", "- b[:")),
    (
        "channels averaged",
        "the products are averaged over the channels: add them up",
        ("w @ pixels", "w @ pixels / C"),
    ),
    (
        "channels not moved",
        "the image is reshaped as if its channels stood last: they are the second axis",
        (
            "pixels = x.reshape(N, C, H * W)",
            "pixels = x.reshape(N, H * W, C).swapaxes(1, 2)",
        ),
    ),
    (
        "output not moved",
        "the result is reshaped as if its channels stood last: they are the second one",
        ("out.reshape(N, len(w), H, W)", "out.swapaxes(1, 2).reshape(N, len(w), H, W)"),
    ),
    (
        "channels last",
        "the new channels stand last: they are the second axis",
        (
            "out.reshape(N, len(w), H, W)",
            "out.reshape(N, len(w), H, W).transpose(0, 2, 3, 1)",
        ),
    ),
    (
        "height and width swapped",
        "height and width are swapped",
        ("out.reshape(N, len(w), H, W)", "out.reshape(N, len(w), H, W).swapaxes(2, 3)"),
    ),
    (
        "first image",
        "only the first image of the batch is seen",
        ("out = w @ pixels", "out = w @ pixels[:1] + 0 * pixels[:, :1]"),
    ),
    (
        "weights transposed",
        "w is used transposed: it is (F, C)",
        ("w @ pixels", "w.T @ pixels"),
    ),
    ("float64", FLOAT64, ("w @ pixels", 'w.astype("float64") @ pixels')),
    (
        "in place",
        in_place("w"),
        ("    out = w", "    w *= 1.5; w /= 1.25\n    out = w"),
    ),
)
