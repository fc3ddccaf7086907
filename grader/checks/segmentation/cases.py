"""Topic 09, on what: data over all of the range that the stubs promise."""

import torch


def _normal(rng, *shape, dtype=torch.float64):
    return torch.tensor(rng.normal(size=shape)).to(dtype)


def _call(tensors, attached=False, **options):
    return {"tensors": tensors, "options": options, "attached": attached}


# --- upsampling ---


def upsampled(rng):
    """Square maps and others, small and large factors, one sample, one channel."""
    shapes = [
        ((2, 3, 4, 5), 2),
        ((1, 2, 3, 2), 3),
        ((3, 1, 1, 4), 4),
        ((2, 2, 2, 1), 5),
    ]
    return [_call({"x": _normal(rng, *s), "factor": f}) for s, f in shapes]


def upsampled_hands_off(rng):
    """float32, tensors with gradients, and a factor that leaves the size."""
    shapes = [((2, 3, 3, 2), 2), ((1, 2, 4, 3), 1)]
    return [
        _call({"x": _normal(rng, *s, dtype=torch.float32), "factor": f}, attached)
        for s, f in shapes
        for attached in (False, True)
    ]


def _pooled(rng, shape, window, size, dtype=torch.float64, attached=False):
    """Maxima of random maps, and where they were; ``size`` is that of the output."""
    x = _normal(rng, *shape, dtype=dtype)
    _, indices = torch.nn.functional.max_pool2d(x, window, return_indices=True)
    values = _normal(rng, *indices.shape, dtype=dtype)
    return _call({"x": values, "indices": indices, "size": size}, attached)


def unpooled(rng):
    """Windows of several forms that fill the map."""
    shapes = [((2, 3, 4, 6), (2, 2)), ((1, 2, 6, 3), (3, 1)), ((3, 1, 2, 8), (2, 4))]
    return [_pooled(rng, s, w, s[2:]) for s, w in shapes]


def unpooled_borders(rng):
    """Maps with a border that no window reached."""
    shapes = [((2, 2, 5, 7), (2, 2)), ((1, 3, 8, 5), (3, 2)), ((2, 1, 3, 9), (2, 4))]
    return [_pooled(rng, s, w, s[2:]) for s, w in shapes]


def unpooled_hands_off(rng):
    return [
        _pooled(rng, (2, 2, 5, 4), (2, 2), (5, 4), torch.float32, attached)
        for attached in (False, True)
    ]


# --- convolutions as matrices, and transposed ---


def _matrix(rng, kernel, size, attached=False, dtype=torch.float64, **options):
    tensors = {"kernel": _normal(rng, *kernel, dtype=dtype), "size": size}
    return _call(tensors, attached, **options)


def matrix_1d(rng):
    return [
        _matrix(rng, (3,), 5),
        _matrix(rng, (4,), 4),
        _matrix(rng, (1,), 3, stride=1, padding=0),
    ]


def matrix_1d_strided(rng):
    return [
        _matrix(rng, (3,), 5, padding=1),
        _matrix(rng, (3,), 8, stride=2, padding=1),
        _matrix(rng, (2,), 7, stride=3),
        _matrix(rng, (5,), 4, stride=2, padding=3),
    ]


def matrix_2d(rng):
    """Kernels and maps that are not square."""
    return [
        _matrix(rng, (2, 2), (3, 3)),
        _matrix(rng, (2, 3), (4, 5)),
        _matrix(rng, (3, 1), (3, 2)),
    ]


def matrix_2d_strided(rng):
    return [
        _matrix(rng, (3, 2), (4, 3), padding=1),
        _matrix(rng, (3, 3), (4, 6), stride=2, padding=1),
        _matrix(rng, (2, 4), (5, 7), stride=3),
        _matrix(rng, (1, 3), (3, 4), stride=2, padding=2),
        _matrix(rng, (3, 2), (2, 4), padding=2),
    ]


def matrix_hands_off(rng):
    made = []
    for attached in (False, True):
        made.append(_matrix(rng, (3,), 6, attached, torch.float32, padding=1))
        made.append(_matrix(rng, (2, 3), (4, 3), attached, torch.float32, stride=2))
    # the matrix has the shape of the kernel, and still is another tensor
    return [*made, _matrix(rng, (1,), 1, True, torch.float32)]


def _transposed(rng, shape, kernel, attached=False, dtype=torch.float64, **options):
    """One case; ``kernel`` is (Co, kh, kw)."""
    tensors = {
        "x": _normal(rng, *shape, dtype=dtype),
        "w": _normal(rng, shape[1], *kernel, dtype=dtype),
        "b": _normal(rng, kernel[0], dtype=dtype),
    }
    return _call(tensors, attached, **options)


def transposed(rng):
    """Stride 1; one sample, one channel, maps and kernels that are not square."""
    return [
        _transposed(rng, (2, 3, 3, 4), (2, 3, 2)),
        _transposed(rng, (1, 1, 2, 3), (1, 2, 2)),
        _transposed(rng, (2, 2, 1, 3), (4, 1, 3)),
    ]


def transposed_strided(rng):
    """Stamps that overlap, that touch, and that leave gaps."""
    return [
        _transposed(rng, (2, 2, 3, 4), (3, 3, 3), stride=2),
        _transposed(rng, (1, 3, 4, 2), (2, 2, 2), stride=2),
        _transposed(rng, (2, 1, 3, 3), (2, 2, 1), stride=3),
    ]


def transposed_padded(rng):
    return [
        _transposed(rng, (2, 2, 4, 3), (3, 3, 3), padding=1),
        _transposed(rng, (2, 3, 3, 4), (2, 4, 3), stride=2, padding=1),
        _transposed(rng, (1, 2, 3, 5), (2, 5, 4), stride=3, padding=2),
    ]


def transposed_hands_off(rng):
    return [
        _transposed(rng, *shape, attached, torch.float32, stride=2, padding=1)
        for shape in [((2, 2, 3, 2), (3, 3, 4)), ((1, 1, 2, 2), (1, 2, 2))]
        for attached in (False, True)
    ]


# --- fully connected layers as convolutions ---


def _linear(rng, in_shape, num_out, bias=True, sizes=(), dtype=torch.float64):
    C, H, W = in_shape
    images = [_normal(rng, 2, C, H, W, dtype=dtype)]
    images += [_normal(rng, 2, C, H + h, W + w, dtype=dtype) for h, w in sizes]
    return {
        "weight": _normal(rng, num_out, C * H * W, dtype=dtype),
        "bias": _normal(rng, num_out, dtype=dtype) if bias else None,
        "in_shape": in_shape,
        "images": images,
    }


def fc(rng):
    """One place: the layer itself, for maps that are square, and others."""
    shapes = [((3, 4, 4), 5), ((2, 3, 5), 4), ((1, 2, 1), 3), ((4, 1, 1), 2)]
    return [_linear(rng, *shape) for shape in shapes]


def fc_slid(rng):
    """Larger images: the layer at each place."""
    sizes = [(3, 2), (0, 4)]
    return [_linear(rng, s, 3, sizes=sizes) for s in [(3, 4, 4), (2, 3, 5)]]


def fc_unbiased(rng):
    return [_linear(rng, (2, 3, 4), 4, bias=False, sizes=[(1, 1)])]


def fc_hands_off(rng):
    return [
        _linear(rng, (2, 3, 2), 3, bias, [(2, 2)], torch.float32)
        for bias in (True, False)
    ]


# --- counting, and the loss ---


def _maps(rng, shape, num_classes, some=None, agreement=0.6):
    """A target of some of the classes, and a map that agrees with a part of it."""
    some = list(range(num_classes)) if some is None else some
    target = rng.choice(some, size=shape)
    other = rng.choice(some, size=shape)
    pred = torch.tensor(target).where(torch.tensor(rng.random(shape) < agreement), 0)
    other = torch.tensor(other)
    pred = torch.where(torch.tensor(rng.random(shape) < agreement), pred, other)
    if 0 not in some:
        pred = torch.where(pred == 0, other, pred)
    return pred, torch.tensor(target)


def _iou(pred, target, num_classes, **options):
    maps = {"pred": pred, "target": target, "num_classes": num_classes}
    return {**maps, "options": options}


def iou(rng):
    """Every class in both maps; maps, batches of maps, lists of labels."""
    shapes = [((2, 6, 7), 4), ((8, 9), 3), ((40,), 5), ((2, 2, 5, 6), 2)]
    made = []
    for shape, K in shapes:
        pred, target = _maps(rng, shape, K)
        # each class is there for sure
        pred.view(-1)[:K], target.view(-1)[-K:] = torch.arange(K), torch.arange(K)
        made.append(_iou(pred, target, K))
    return made


def iou_absent(rng):
    """Classes that are in neither map, and one that is in a single one."""
    made = []
    for shape, K, some in [((2, 5, 6), 6, [0, 2, 3]), ((7, 4), 5, [1, 4])]:
        pred, target = _maps(rng, shape, K, some)
        made.append(_iou(pred, target, K))
        pred = pred.clone()
        # predicted, and nowhere in the target
        pred.view(-1)[3:5] = some[0] + (2 if some[0] + 2 not in some else 1)
        made.append(_iou(pred, target, K))
    lost = torch.where(target == some[0], some[1], target)
    # a class of one pixel
    one = torch.tensor([0, 0, 1, 0, 0])
    return [*made, _iou(lost, target, K), _iou(one, 0 * one, 3), _iou(0 * one, one, 3)]


def iou_ignored(rng):
    """Marks outside the classes, and one of the classes, and marks everywhere."""
    made = []
    for ignored in (255, -1, 0, 1):
        pred, target = _maps(rng, (2, 6, 5), 4)
        target = torch.where(torch.tensor(rng.random((2, 6, 5)) < 0.3), ignored, target)
        made.append(_iou(pred, target, 4, ignore_index=ignored))
    return made


def iou_nothing(rng):
    pred = torch.tensor(rng.integers(3, size=(2, 4, 4)))
    nothing = torch.full_like(pred, 255)
    # and it is 1 where all is right, so nan alone won't do
    return [_iou(pred, of, 3, ignore_index=255) for of in (nothing, pred)]


def _weighed(rng, shape, num_classes, some=None, ignored=None, attached=False):
    some = list(range(num_classes)) if some is None else some
    # classes as unequal as they are in scenes
    share = rng.dirichlet(2 * (1 + torch.arange(len(some)).numpy()))
    target = torch.tensor(rng.choice(some, size=shape, p=share))
    target.view(-1)[: len(some)] = torch.tensor(some)
    options = {}
    if ignored is not None:
        target.view(-1)[len(some) :: 3] = ignored
        options = {"ignore_index": ignored}
    return _call({"target": target, "num_classes": num_classes}, attached, **options)


def weights(rng):
    shapes = [((2, 6, 7), 4), ((3, 4, 5), 2), ((1, 8, 8), 6), ((9, 7), 3)]
    return [_weighed(rng, *shape) for shape in shapes]


def weights_absent(rng):
    return [
        _weighed(rng, (2, 5, 5), 5, [0, 2, 3]),
        _weighed(rng, (2, 4, 6), 4, [1, 2]),
        _weighed(rng, (1, 3, 4), 3, [2]),
        # a class of one pixel
        _call({"target": torch.tensor([[0, 2], [0, 0]]), "num_classes": 4}),
    ]


def weights_ignored(rng):
    return [
        _weighed(rng, (2, 6, 5), 4, ignored=255),
        _weighed(rng, (2, 5, 5), 3, [0, 2], ignored=-1),
    ]


def _loss(rng, shape, num_classes, dtype=torch.float64, weights=False, ignored=None):
    N, H, W = shape
    scores = _normal(rng, N, num_classes, H, W, dtype=dtype)
    target = torch.tensor(rng.integers(num_classes, size=shape))
    options = {}
    if weights:
        # images that hold the same classes as often could be averaged one by one
        target[0, : H // 2] = 0
        drawn = torch.tensor(rng.uniform(0.2, 3, num_classes)).to(dtype)
        options["weights"] = drawn
    if ignored is not None:
        target = torch.where(torch.tensor(rng.random(shape) < 0.4), ignored, target)
        # one pixel counts for sure
        target[0, 0, 0] = 2 if ignored == 0 else 0
        options["ignore_index"] = ignored
    return {"scores": scores, "target": target, "options": options}


def loss(rng):
    return [
        _loss(rng, (2, 4, 5), 3),
        _loss(rng, (1, 3, 2), 5),
        _loss(rng, (3, 2, 2), 2),
    ]


def loss_weighted(rng):
    return [
        _loss(rng, (2, 6, 5), 3, weights=True),
        _loss(rng, (1, 3, 3), 4, weights=True),
    ]


def loss_ignored(rng):
    return [
        _loss(rng, (2, 4, 5), 3, ignored=255),
        _loss(rng, (2, 3, 4), 4, weights=True, ignored=-1),
        _loss(rng, (2, 4, 4), 3, ignored=0),
    ]


def loss_extreme(rng):
    """Scores of up to 1e4, in float32, too."""
    made = []
    for dtype in (torch.float64, torch.float32):
        case = _loss(rng, (2, 3, 4), 3, dtype, weights=True)
        made.append({**case, "scores": (1e4 * case["scores"]).clamp(-1e4, 1e4)})
    return made


def loss_float32(rng):
    return [_loss(rng, (2, 4, 3), 3, torch.float32, True, 255)]


# --- networks ---


def net(look, *shapes, sizes=((3, 4),), **options):
    """Cases of a look at networks of some sizes, with images of some shapes."""

    def make(rng):
        return [
            {
                "look": look,
                "sizes": pair,
                "options": options,
                "shape": (shape[0], pair[0], *shape[1:]),
            }
            for pair in sizes
            for shape in shapes
        ]

    return make
