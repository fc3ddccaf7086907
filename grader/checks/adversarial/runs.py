"""Topic 12, what runs beside the student's functions: it calls them and returns data.

Each function is self-contained, for it is sent to where the student's objects live.
"""


def run_linear(function, **arguments):
    """One call, watched."""
    from grader.alongside import watch

    result, seen = watch(function, **arguments)
    return {"result": result, "type": type(result).__name__, **seen}


def run_attack(attack, model, x, y, settings, options, found, seeds=None):
    """One call with a model and images as they are found; what came back, and what is
    no longer so.

    ``found`` names what is unusual: "frozen" parameters, "gradients" that are there
    already, a call under "no_grad", and whether all is "watched". With ``seeds``: where
    attacks start with their generators, and where one of them ends.
    """
    import torch

    from grader.alongside import copied, same

    def random_starts():
        epsilon, alpha, steps = settings

        def start(rng, steps=0):
            return attack(model, x, y, epsilon, alpha, steps, rng=rng)

        drawn = []
        for i, seed in enumerate([*seeds, seeds[0]]):
            torch.manual_seed(i)
            drawn.append(start(torch.Generator().manual_seed(seed)))
        rng = torch.Generator().manual_seed(seeds[0])
        draws = [*drawn, start(rng), start(rng)]
        end = start(torch.Generator().manual_seed(seeds[0]), steps)
        return {"starts": drawn[:-1], "draws": draws, "attack": [drawn[0], end]}

    if seeds:
        return random_starts()

    for i, parameter in enumerate(model.parameters()):
        parameter.requires_grad_("frozen" not in found)
        if "gradients" in found and i % 2 == 0:
            parameter.grad = torch.full_like(parameter, i + 1)
    if "gradients" in found:
        x.requires_grad_()
        x.grad = torch.ones_like(x)

    def state():
        of = dict(model.named_parameters())
        now = {
            "x": x.detach(),
            "y": y,
            "x.grad": x.grad,
            "x.requires_grad": x.requires_grad,
            "the model's weights": dict(model.state_dict()),
            "the .grad of the model's parameters": {n: p.grad for n, p in of.items()},
            "the requires_grad of the model's parameters": {
                n: p.requires_grad for n, p in of.items()
            },
            "the model's mode (train or eval)": [m.training for m in model.modules()],
        }
        return copied(now)

    watched = "watched" in found
    before = state() if watched else {}
    arguments = (model, x, y, *settings) if settings else (x, y, model)
    with torch.set_grad_enabled("no_grad" not in found):
        result = attack(*arguments, **options)
    after = state() if watched else {}
    return {
        "result": result,
        "type": type(result).__name__,
        "is on a graph": getattr(result, "requires_grad", False) is True,
        "changed": [name for name in before if not same(after[name], before[name])],
    }


def run_training(step, model, batches, settings, optimizer, stale):
    """One step on each batch (x, y); the optimizer is one of PyTorch's."""
    import torch

    from grader.alongside import copied, same

    name, options = optimizer
    optimizer = getattr(torch.optim, name)(model.parameters(), **options)
    if stale:
        for i, parameter in enumerate(model.parameters()):
            parameter.grad = torch.full_like(parameter, i + 1)

    def state():
        now = {
            "x": [x for x, _ in batches],
            "y": [y for _, y in batches],
            "x.requires_grad": [x.requires_grad for x, _ in batches],
            "the requires_grad of the model's parameters": [
                p.requires_grad for p in model.parameters()
            ],
            "the model's mode (train or eval)": [m.training for m in model.modules()],
        }
        return copied(now)

    before = state()
    losses = [step(model, optimizer, x, y, *settings) for x, y in batches]
    after = state()
    weights = {n: p.detach().numpy().copy() for n, p in model.named_parameters()}
    return {
        "losses": [loss.item() if hasattr(loss, "item") else loss for loss in losses],
        "type": type(losses[0]).__name__,
        "parameters": weights,
        "changed": [name for name in before if not same(after[name], before[name])],
    }


def run_robust_training(train, X_train, y_train, seed):
    """The weights of the network that the student's function trains."""
    import torch

    model = train(X_train, y_train, seed)
    if not isinstance(model, torch.nn.Module):
        kind = type(model).__name__
        raise TypeError(f"returned {kind}, where a torch.nn.Module is promised")
    weights = model.state_dict()
    return {"weights": {n: w.detach().cpu().numpy() for n, w in weights.items()}}
