"""Topic 02, known wrong answers: training, and the range test."""

from grader.checks.optimizers import answers as right
from grader.mistakes import in_place, table

train = table(
    right.train,
    (
        "gradients asked anew",
        "gradients are computed anew for each parameter, when others have moved"
        " already: compute them once per step",
        (
            "                next_w, next_config",
            "                grad = net.loss(X_batch, y_batch)[1][name]\n"
            "                next_w, next_config",
        ),
    ),
    (
        "one config for all",
        "all parameters share one config, and so one state: each needs its own",
        (
            "configs = {name: dict(config) for name in net.params}",
            "config = dict(config)\n    configs = dict.fromkeys(net.params, config)",
        ),
        (
            "configs[name] = next_config",
            "configs = dict.fromkeys(configs, next_config)",
        ),
    ),
    (
        "config changed",
        in_place("config"),
        ("name: dict(config)", "name: config if i == 0 else dict(config)"),
        ("for name in net.params}", "for i, name in enumerate(net.params)}"),
    ),
    (
        "state forgotten",
        "the config that a step returns is forgotten, and with it the state",
        (
            "                configs[name] = next_config\n",
            "                rate = configs[name]['learning_rate']\n"
            "                configs[name] = {'learning_rate': rate}\n",
        ),
    ),
    (
        "loss after the step",
        "the losses are those after each step: they are asked for before it",
        ("            losses.append(loss)\n", ""),
        (
            "                configs[name] = next_config\n",
            "                configs[name] = next_config\n"
            "            losses.append(net.loss(X_batch, y_batch)[0])\n",
        ),
    ),
    (
        "loss of each epoch",
        "there is one loss for each epoch, where one for each step is asked for",
        ("            losses.append(loss)\n", ""),
        (
            "    return losses\n",
            "        losses.append(loss)\n    return losses\n",
        ),
    ),
    (
        "one epoch too many",
        "one epoch too many is trained",
        ("range(num_epochs)", "range(num_epochs + 1)"),
        ("schedule(epoch)", "schedule(min(epoch, num_epochs - 1))"),
    ),
    (
        "same order in each epoch",
        "the samples come in the same order in each epoch: make new minibatches for"
        " each",
        (
            "    for epoch in range(num_epochs):\n",
            "    batches = list(minibatches(X, y, batch_size, rng))\n"
            "    for epoch in range(num_epochs):\n",
        ),
        ("in minibatches(X, y, batch_size, rng):", "in batches:"),
    ),
    (
        "batches used up",
        "only the first epoch is trained: minibatches are used up after one pass, so"
        " make new ones for each",
        (
            "    for epoch in range(num_epochs):\n",
            "    batches = minibatches(X, y, batch_size, rng)\n"
            "    for epoch in range(num_epochs):\n",
        ),
        ("in minibatches(X, y, batch_size, rng):", "in batches:"),
    ),
    (
        "own generator",
        "the order comes from another generator than the one that is given",
        ("batch_size, rng):", "batch_size, np.random.default_rng()):"),
    ),
    (
        "all data in each step",
        "each step looks at all samples: give the net a batch",
        ("net.loss(X_batch, y_batch)", "net.loss(X, y)"),
    ),
    (
        "schedule ignored",
        "the schedule is ignored",
        ("schedule is not None", "schedule is not None and epoch < 0"),
        ("name: dict(config)", 'name: {"learning_rate": 0.01} | dict(config)'),
    ),
    (
        "schedule counts from 1",
        "the schedule is asked for the epoch to come: epochs count from 0",
        ("schedule(epoch)", "schedule(min(epoch + 1, num_epochs - 1))"),
    ),
    (
        "schedule counts steps",
        "the schedule is asked for the number of the step, not of the epoch",
        (
            "        if schedule is not None:\n"
            "            for name in configs:\n"
            '                configs[name]["learning_rate"] = schedule(epoch)\n',
            "",
        ),
        (
            "            losses.append(loss)\n",
            "            for name in configs if schedule is not None else ():\n"
            '                configs[name]["learning_rate"] = schedule(\n'
            "                    min(len(losses), num_epochs - 1)\n"
            "                )\n"
            "            losses.append(loss)\n",
        ),
    ),
    (
        "schedule multiplies",
        "the schedule's value multiplies the learning rate: it is the learning rate",
        (
            "= schedule(epoch)",
            '= schedule(epoch) * config.get("learning_rate", 1e-2)',
        ),
    ),
    (
        "parameters not stored",
        "the new parameters are not put into net.params",
        ("                net.params[name] = next_w\n", ""),
    ),
    (
        "last batch dropped",
        "the last, short batch of an epoch is not trained with",
        (
            "            loss, grads =",
            "            if len(y_batch) < min(batch_size, len(y)):\n"
            "                continue\n            loss, grads =",
        ),
    ),
    (
        "nothing returned",
        "nothing comes back: return the losses",
        ("    return losses\n", ""),
    ),
)

_GROWTH = "(high / low) ** (1 / (len(batches) - 1))"
_UPDATE = "net.params[name] - rate * grads[name]"

range_test = table(
    right.range_test,
    (
        "equal distances",
        "the rates grow by the same amount: they should grow by the same factor",
        ("low * growth**i", "low + (high - low) * i / (len(batches) - 1)"),
    ),
    (
        "one rate too few",
        "the last rate falls short of high: between N rates there are N - 1 factors",
        (_GROWTH, "(high / low) ** (1 / len(batches))"),
    ),
    (
        "rates reversed",
        "the rates fall from high to low",
        ("growth**i", "growth ** (len(batches) - 1 - i)"),
    ),
    (
        "loss after the step",
        "the losses are those after each step: they are asked for before it",
        ("        losses.append(loss)\n        if", "        if"),
        ("loss > 4 * min(losses):\n", "loss > 4 * min([*losses, loss]):\n"),
        (
            f"            net.params[name] = {_UPDATE}\n",
            f"            net.params[name] = {_UPDATE}\n"
            "        losses.append(net.loss(X, y)[0])\n",
        ),
    ),
    (
        "net left changed",
        "the parameters are left changed: put back copies of what was there before",
        ("    net.params.update(before)\n", ""),
    ),
    (
        "net left changed at an early end",
        "where the test ends early, the parameters are left changed: put them back"
        " there, too",
        ("            break\n", "            return rates, losses\n"),
    ),
    (
        "gradients asked anew",
        "gradients are computed anew for each parameter, when others have moved"
        " already: compute them once per step",
        (
            f"            net.params[name] = {_UPDATE}\n",
            "            _, grads = net.loss(X, y)\n"
            f"            net.params[name] = {_UPDATE}\n",
        ),
    ),
    (
        "all rates",
        "more rates than losses come back: the test ended before the others",
        (
            "    return rates, losses",
            "    rates = [low * growth**i for i in range(len(batches))]\n"
            "    return rates, losses",
        ),
    ),
    (
        "no early end",
        "the test goes on after an explosion",
        ("            break\n", "            pass\n"),
    ),
    (
        "last loss left out",
        "the loss that ends the test is left out: it is the last of the list",
        (
            "            break\n",
            "            rates.pop(), losses.pop()\n            break\n",
        ),
    ),
    (
        "compared with the first loss",
        "the loss is compared with the first one, not with the smallest so far",
        ("4 * min(losses)", "4 * losses[0]"),
    ),
    (
        "compared with the last loss",
        "the loss is compared with the one before it, not with the smallest so far",
        ("4 * min(losses)", "4 * losses[-2:][0]"),
    ),
    (
        "ended too soon",
        "the test ends as soon as a loss rises",
        ("loss > 4 * min(losses)", "loss > min(losses)"),
    ),
    (
        "not finite goes on",
        "a loss that is not finite does not end the test",
        ("not np.isfinite(loss) or loss", "loss"),
    ),
    (
        "each step from the start",
        "each step starts from the first parameters: go on from where the last one led",
        (_UPDATE, "before[name] - rate * grads[name]"),
    ),
    (
        "one parameter alone",
        "only one parameter is trained",
        ("for name in net.params:", "for name in list(net.params)[:1]:"),
    ),
    (
        "uphill",
        "the steps go uphill: subtract the gradients",
        (_UPDATE, "net.params[name] + rate * grads[name]"),
    ),
    (
        "first batch alone",
        "the first batch is used in all steps",
        ("net.loss(X, y)", "net.loss(*batches[0])"),
    ),
    (
        "default rates",
        "low or high has another default than the promised one",
        ("high=10.0", "high=1.0"),
    ),
)
