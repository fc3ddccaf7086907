"""Topic 09, known wrong answers: the networks."""

from grader.checks.segmentation import answers as right
from grader.mistakes import table

_HEAD = "        return self.head(x)"
_PROBABILITIES = "probabilities come out: scores are promised, and the loss wants them"
_NORM = "nn.BatchNorm2d(c_out)"


def _of_both(num_out: str) -> tuple[tuple, ...]:
    """Mistakes that either network can hold; ``num_out`` are the channels of its head's
    input."""
    return (
        ("softmax", _PROBABILITIES, (_HEAD, "        return self.head(x).softmax(1)")),
        (
            "log-softmax",
            "log-probabilities come out: scores are promised",
            (_HEAD, "        return self.head(x).log_softmax(1)"),
        ),
        (
            "relu on the scores",
            "a ReLU is applied to the scores: the last layer is a convolution",
            (_HEAD, "        return self.head(x).relu()"),
        ),
        (
            "detached",
            "the scores are detached: training needs their gradients",
            (_HEAD, "        return self.head(x).detach()"),
        ),
        (
            "labels",
            "labels come out: scores of each class are promised",
            (_HEAD, "        return self.head(x).argmax(1)"),
        ),
        (
            "channels last",
            "the classes are the last axis: they are the second one",
            (_HEAD, "        return self.head(x).permute(0, 2, 3, 1)"),
        ),
        (
            "own statistics in evaluation",
            "in evaluation mode, batch normalization uses the statistics of the batch",
            (_NORM, "nn.BatchNorm2d(c_out, track_running_stats=False)"),
        ),
        (
            "hidden layer",
            "a layer stands in a plain list, where its parameters are not found: use an"
            " attribute or an nn.ModuleList",
            ("self.head = nn", "self.hidden = [nn"),
            (f"{num_out}, num_classes, 1)", f"{num_out}, num_classes, 1)]"),
            (_HEAD, "        return self.hidden[0](x)"),
        ),
        (
            "dropout in evaluation",
            "features are dropped in evaluation mode, too: use nn.Dropout, or pass"
            " self.training",
            (_HEAD, "        return self.head(F.dropout(x))"),
        ),
        (
            "mode switched",
            "the network switches itself to training mode: the mode is the caller's",
            (_HEAD, "        self.train()\n        return self.head(x)"),
        ),
        (
            "frozen",
            "some parameters don't require gradients",
            (
                f"nn.Conv2d({num_out}, num_classes, 1)",
                f"nn.Conv2d({num_out}, num_classes, 1).requires_grad_(False)",
            ),
        ),
        (
            "unused layer",
            "some parameters get no gradient: a layer is made, and never used",
            (
                "        self.head =",
                "        self.unused = nn.Conv2d(3, 3, 3)\n        self.head =",
            ),
        ),
        (
            "images in place",
            "your code changes the images that it was given",
            (
                "    def forward(self, x):\n",
                "    def forward(self, x):\n        x -= x.mean()\n",
            ),
        ),
    )


_KEPT = "kept.append((indices, size))"
_UNPOOL = "F.max_unpool2d(x, indices, 2, output_size=size)"

segnet = table(
    right.SegNet,
    (
        "size forgotten",
        "an odd size comes back as an even one: unpooling needs the size before pooling"
        " (output_size)",
        (_UNPOOL, "F.max_unpool2d(x, indices, 2)"),
    ),
    (
        "nearest",
        "the decoder does not use the encoder's indices",
        (_UNPOOL, "F.interpolate(x, size)"),
    ),
    (
        "one level of indices",
        "only the last unpooling uses indices: all levels do",
        (
            _UNPOOL,
            "F.max_unpool2d(x, indices, 2, output_size=size) if not kept else"
            " F.interpolate(x, size)",
        ),
    ),
    (
        "none at full size",
        "the last unpooling, to full size, does without indices: all levels use them",
        (
            _UNPOOL,
            "F.max_unpool2d(x, indices, 2, output_size=size) if kept else"
            " F.interpolate(x, size)",
        ),
    ),
    (
        "one level",
        "the map is halved once: at least twice is promised",
        ("map(layer, ins, outs)", "map(layer, ins[:1], (16,))"),
        ("map(layer, (16, 12, 8), (12, 8, 8))", "map(layer, (16,), (8,))"),
    ),
    (
        "skips, too",
        "maps of the encoder reach the decoder, where indices alone are promised: that"
        " is a U-Net",
        (_KEPT, "kept.append((indices, size, skip))"),
        (
            "            size = x.shape[2:]\n",
            "            size = x.shape[2:]\n            skip = x\n",
        ),
        ("indices, size = kept.pop()", "indices, size, skip = kept.pop()"),
        (_UNPOOL, _UNPOOL + " + skip"),
    ),
    (
        "three channels always",
        "the first layer takes three channels, whatever in_channels is",
        ("(in_channels, 8, 12)", "(3, 8, 12)"),
    ),
    (
        "half the size",
        "the scores have half the size of the images: the last unpooling is missing",
        (_UNPOOL, _UNPOOL + " if kept else x"),
    ),
    *_of_both("8"),
)

_JOIN = "below = F.interpolate(below, size)"
_CAT = "torch.cat([skip, below], 1)"

unet = table(
    right.UNet,
    (
        "sizes do not fit",
        "at odd sizes an upsampled map and its skip differ by a row or a column: bring"
        " one to the size of the other",
        (_JOIN, "below = F.interpolate(below, scale_factor=2)"),
    ),
    (
        "never skips",
        "no skip is used: join the encoder's maps unless skips=False",
        ("self.skips = skips", "self.skips = skips = False"),
    ),
    (
        "always skips",
        "skips=False changes nothing: then no map of the encoder may reach the decoder",
        ("self.skips = skips", "self.skips = skips = True"),
    ),
    (
        "added",
        "the encoder's maps are added: join them by concatenation",
        ("block(20 + 16 * skips, 16)", "block(16 if skips else 20, 16)"),
        ("block(16 + 12 * skips, 12)", "block(12 if skips else 16, 12)"),
        ("block(12 + 8 * skips, 8)", "block(8 if skips else 12, 8)"),
        (_CAT, "skip + below[:, : skip.shape[1]]"),
    ),
    (
        "no skip at full resolution",
        "the skip at full resolution is missing",
        ("block(12 + 8 * skips, 8)", "block(12, 8)"),
        (
            "self.from_middle(self.join(x, top))",
            "self.from_middle(F.interpolate(x, top.shape[2:]))",
        ),
    ),
    (
        "skip at full resolution alone",
        "only the skip at full resolution is there: each level has one",
        ("block(20 + 16 * skips, 16)", "block(20, 16)"),
        ("block(16 + 12 * skips, 12)", "block(16, 12)"),
        ("self.join(x, low)", "F.interpolate(x, low.shape[2:])"),
        ("self.join(x, middle)", "F.interpolate(x, middle.shape[2:])"),
    ),
    (
        "a skip is missing",
        "a level between the finest and the coarsest has no skip: each level has one",
        ("block(16 + 12 * skips, 12)", "block(16, 12)"),
        ("self.join(x, middle)", "F.interpolate(x, middle.shape[2:])"),
    ),
    (
        "skips taken after pooling",
        "what is joined tells nothing that the smaller map does not know: take skips"
        " before pooling",
        (_JOIN, f"{_JOIN}; skip = F.interpolate(F.max_pool2d(skip, 2), size)"),
    ),
    (
        "one level",
        "the map is halved once: at least twice is promised",
        ("self.low(F.max_pool2d(middle, 2))", "self.low(middle)"),
        ("self.bottom(F.max_pool2d(low, 2))", "self.bottom(low)"),
    ),
    (
        "bottom detached",
        "gradients stop at the bottom: don't detach what flows through a network",
        (
            "self.bottom(F.max_pool2d(low, 2))",
            "self.bottom(F.max_pool2d(low, 2)).detach()",
        ),
    ),
    (
        "three channels always",
        "the first block takes three channels, whatever in_channels is",
        ("block(in_channels, 8)", "block(3, 8)"),
    ),
    (
        "half the size",
        "the scores have half the size of the images",
        ("return self.head(x)", "return F.max_pool2d(self.head(x), 2)"),
    ),
    *_of_both("8"),
)
