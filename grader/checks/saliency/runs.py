"""Topic 11, what runs beside the student's functions: it calls them and returns data.

Each function is self-contained, for it is sent to where the student's objects live.
"""


def run_on_model(
    function, model, order, given, options, setting, seeds=(), same_as=None
):
    """A call with a network in some setting, or one call for each of the seeds.

    A seed that is None goes on with the generator before it, or with none at all. If
    other options should do the same, tell whether they do.
    """
    from contextlib import nullcontext

    import torch

    from grader.alongside import copied, same

    def prepare():
        for i, module in enumerate(model.modules()):
            module.training = {"eval": False, "train": True, "mixed": i % 2 == 0}[
                setting["mode"]
            ]
        wants = [given[name] for name in setting["wants"]]
        for tensor in [*model.parameters(), *wants]:
            tensor.requires_grad_(not setting["frozen"])
            if setting["grads"]:
                tensor.grad = torch.ones_like(tensor)

    def state():
        seen = {"model.training": [module.training for module in model.modules()]}
        inputs = {n: [t] for n, t in given.items() if isinstance(t, torch.Tensor)}
        weights = {"parameters": model.parameters(), "buffers": model.buffers()}
        for name, tensors in {**inputs, **weights}.items():
            tensors = list(tensors)
            seen[name] = [t.detach() for t in tensors]
            seen[f"{name}.requires_grad"] = [t.requires_grad for t in tensors]
            seen[f"{name}.grad"] = [t.grad for t in tensors]
        return copied(seen)

    def call(rng, options=options):
        arguments = [model if name == "model" else given[name] for name in order]
        with torch.no_grad() if setting["no_grad"] else nullcontext():
            made = function(*arguments, **options, **({"rng": rng} if rng else {}))
        if not isinstance(made, torch.Tensor):
            kind = type(made).__name__
            raise TypeError(f"returned {kind}, where a tensor is promised")
        attached.append(made.requires_grad)
        return made.detach().clone()

    attached, maps, rng = [], [], None
    prepare()
    before = state()
    for seed in seeds or [None]:
        rng = rng if seed is None else torch.Generator().manual_seed(seed)
        maps.append(call(rng))
    after = state()
    seen = {
        "map": maps[0],
        "detached": not any(attached),
        "changed": [name for name in before if not same(before[name], after[name])],
    }
    if same_as:
        rng = torch.Generator().manual_seed(seeds[0]) if seeds else None
        other = call(rng, same_as)
        seen["alike"] = other.shape == maps[0].shape and torch.allclose(other, maps[0])
    if len(maps) > 1:
        seen["agreement"] = [same(maps[i], maps[i + 1]) for i in range(len(maps) - 1)]
        if all(m.dim() > 1 and m.shape == maps[0].shape for m in maps):
            # of each image: the mean, and the variance from one call to the next
            rows = torch.stack(maps).double().flatten(2)
            seen["level"] = rows.mean(dim=(0, 2))
            seen["spread"] = rows.var(dim=0).mean(dim=1)
            off = (rows - rows.mean(dim=0)) / rows.std(dim=0).clamp(min=1e-12)
            pairs = (off, off.roll(1, dims=1)), (off[..., 1:], off[..., :-1])
            # how much two images, and two pixels, go up and down together
            seen["together"] = torch.stack([(a * b).mean() for a, b in pairs])
    return seen


def run_on_data(function, given, options):
    """A call with tensors and numbers alone, watched."""
    import torch

    from grader.alongside import copied, same

    def state():
        tensors = {n: t for n, t in given.items() if isinstance(t, torch.Tensor)}
        flags = {f"{n}.requires_grad": t.requires_grad for n, t in tensors.items()}
        return copied({**{n: t.detach() for n, t in tensors.items()}, **flags})

    before = state()
    made = function(*given.values(), **options)
    if not isinstance(made, torch.Tensor):
        kind = type(made).__name__
        raise TypeError(f"returned {kind}, where a tensor is promised")
    made, attached = made.detach().clone(), made.requires_grad
    after = state()
    return {
        "result": made,
        "detached": not attached,
        "changed": [name for name in before if not same(before[name], after[name])],
    }


def run_find_shortcut(find_shortcut, model, X, y, size, mode, no_grad):
    """A search, and whether it left the model and the images as they were."""
    from contextlib import nullcontext

    import torch

    from grader.alongside import copied, same, unpack

    def state():
        tensors = [t.detach() for t in [*model.parameters(), *model.buffers()]]
        modes = [module.training for module in model.modules()]
        grads = [p.grad for p in model.parameters()]
        found = {"model.training": modes, "parameters": tensors, "X": X.detach()}
        return copied({**found, "parameters.grad": grads, "X.grad": X.grad})

    model.train(mode == "train")
    before = state()
    with torch.no_grad() if no_grad else nullcontext():
        found = unpack(find_shortcut(model, X, y, size), "row", "column")
    after = state()
    return {
        "place": list(found),
        "changed": [name for name in before if not same(before[name], after[name])],
    }
