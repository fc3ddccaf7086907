"""Topic 04, on what: plain numbers for sizes, receptive fields and counts."""


def _calls(*calls, drawn=None):
    """Cases of a function that takes plain numbers: positional arguments, options; and
    one with the arguments ``drawn(rng)``, so that no table of answers will do."""

    def make(rng):
        return [
            {"arguments": list(call[0]), "options": call[1] if call[1:] else {}}
            for call in (*calls, *([(drawn(rng),)] if drawn else ()))
        ]

    return make


def _ints(rng, low, high, count):
    return [int(n) for n in rng.integers(low, high, size=count)]


def sizes_1d(rng):
    """Every stride and padding, where it divides and where it doesn't."""
    settings = [(s, p) for s in (1, 2, 3) for p in (0, 1, 2)]
    return [
        {"arguments": [int(rng.integers(9, 40)) + extra, int(k), s, p], "options": {}}
        for s, p in settings
        for k in rng.choice([1, 2, 3, 4, 5, 7], 2, replace=False)
        for extra in range(s)
    ]


sizes_default = _calls(
    ([9, 4],),
    ([10, 3], {"stride": 2}),
    ([6, 5], {"padding": 2}),
    ([5, 5],),
    ([9, 3], {"padding": 1, "stride": 3}),
)


def sizes_dilated(rng):
    settings = [(3, 1, 0, 2), (2, 2, 1, 3), (4, 3, 2, 2), (5, 1, 1, 3), (3, 2, 2, 4)]
    return [
        {"arguments": [size + extra, k, s, p], "options": {"dilation": d}}
        for (k, s, p, d), size in zip(
            settings, map(int, rng.integers(14, 40, size=5)), strict=True
        )
        for extra in range(s)
    ]


sizes_tuples = _calls(
    ([(32, 32, 32), (4, 4, 4), (2, 2, 2), (1, 1, 1)],),
    ([(9, 12), (3, 2), (2, 3), (0, 1), (2, 1)],),
    ([(11,), (3,), (2,), (1,), (2,)],),
    ([(9, 10, 11), (1, 2, 3), (3, 2, 1), (0, 1, 2), (1, 2, 3)],),
)

sizes_mixed = _calls(
    ([(32, 32, 32), 4], {"stride": 2, "padding": 1}),
    ([(9, 12), (3, 2)],),
    ([(9, 12), 3], {"stride": (2, 3)}),
    ([(10, 7, 9), 3, 1, (2, 1, 0)], {"dilation": 2}),
    ([(7,), 3],),
)

fields_stride_1 = _calls(
    ([[(3, 1)]],),
    ([[(3, 1), (3, 1)]],),
    ([[(5, 1), (1, 1), (2, 1), (7, 1)]],),
    drawn=lambda rng: [[(k, 1) for k in _ints(rng, 1, 9, 4)]],
)

fields_strided = _calls(
    ([[(3, 2), (3, 1)]],),
    ([[(7, 2), (3, 2), (3, 1), (3, 3), (5, 2)]],),
    ([[(2, 2), (2, 2), (2, 2)]],),
    ([[(1, 4), (3, 1)]],),
    drawn=lambda rng: [[*zip(_ints(rng, 2, 8, 4), _ints(rng, 1, 4, 4), strict=True)]],
)

fields_dilated = _calls(
    ([[(3, 1, 2)]],),
    ([[(3, 1), (3, 2, 4), (2, 1)]],),
    ([[(3, 2, 1), (3, 2, 2), (4, 1, 3), (3, 1)]],),
    drawn=lambda rng: [
        [*zip(*(_ints(rng, low, 5, 3) for low in (2, 1, 1)), strict=True)]
    ],
)

fields_empty = _calls(([[]],), ([[(1, 1)]],), ([[(2, 1)]],))

parameters_square = _calls(
    ([1, 1, 3],),
    ([3, 64, 7],),
    ([64, 8, 1],),
    ([5, 2, 4], {"bias": True}),
    drawn=lambda rng: _ints(rng, 2, 20, 3),
)

parameters_other = _calls(
    ([3, 8, 5], {"bias": False}), ([2, 4, (1, 5)],), ([6, 3, (3, 2), False],)
)

operations_square = _calls(
    ([1, 1, 3, 1, 1],),
    ([3, 8, 5, 10, 10],),
    drawn=lambda rng: [*_ints(rng, 2, 20, 3), *[int(rng.integers(2, 20))] * 2],
)

operations_other = _calls(
    ([4, 2, (3, 1), 6, 6],), ([2, 7, 3, 5, 9],), ([3, 4, (2, 5), 1, 8],)
)
