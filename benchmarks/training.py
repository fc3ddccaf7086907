"""How fast does `fovea.fit` train, against a textbook loop and Lightning's Trainer?

    python -m benchmarks.training                    # 20,000 images, three seeds
    python -m benchmarks.training --json
    python -m benchmarks.training --images 50000 --epochs 5   # for a GPU

All train the same ConvNet from the same weights on the same images, validate after each
epoch, and take turns, so that other load on the machine hits all. The images are
Fashion-MNIST where the folder in FOVEA_DATA or the cache has it, else generated scenes.
Lightning is fetched into build/ when it isn't there; without it, its ratio is null.
"""

import argparse
import copy
import importlib
import json
import logging
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from torch.utils.flop_counter import FlopCounterMode

import fovea
from fovea.data import Dataset
from fovea.device import Machine, fastest_device
from fovea.downloads import DataError

BATCH_SIZE = 128
LR = 1e-3
BUILD = Path(__file__).resolve().parent.parent / "build" / "lightning"
LIGHTNING = ["lightning==2.6.6", "lightning-utilities==0.15.3", "torchmetrics==1.9.0"]


def network(data: Dataset) -> nn.Module:
    """Two convolutions with batch norm and pooling, and a linear layer."""
    _, channels, height, width = data.train.X.shape
    return nn.Sequential(
        nn.Conv2d(channels, 32, 3, padding=1),
        nn.BatchNorm2d(32),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1),
        nn.BatchNorm2d(64),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(64 * (height // 4) * (width // 4), len(data.class_names)),
    )


def train_with_fovea(model, data, epochs, seed) -> None:
    fovea.fit(
        model,
        data,
        num_epochs=epochs,
        lr=LR,
        batch_size=BATCH_SIZE,
        seed=seed,
        show=False,
    )


def loaders(data: Dataset, num_workers: int) -> tuple[DataLoader, DataLoader]:
    splits = (data.train.to("cpu"), data.val.to("cpu"))
    train, val = (TensorDataset(split.X, split.y) for split in splits)
    options = {"num_workers": num_workers, "persistent_workers": num_workers > 0}
    return (
        DataLoader(train, batch_size=BATCH_SIZE, shuffle=True, **options),
        DataLoader(val, batch_size=512, **options),
    )


def train_by_the_book(model, data, epochs, seed, num_workers=0) -> None:
    """The loop of PyTorch's own tutorials."""
    torch.manual_seed(seed)
    device = fastest_device()[0]
    model.to(device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=LR, weight_decay=0.0)
    train, val = loaders(data, num_workers)
    for _ in range(epochs):
        model.train()
        total = 0.0
        for X, y in train:
            X, y = X.to(device), y.to(device)
            loss = F.cross_entropy(model(X), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item()
        model.eval()
        with torch.no_grad():
            for X, y in val:
                out = model(X.to(device))
                total += (out.argmax(1) == y.to(device)).sum().item()


def train_with_two_workers(model, data, epochs, seed) -> None:
    train_by_the_book(model, data, epochs, seed, num_workers=2)


def train_with_lightning(model, data, epochs, seed) -> None:
    lightning = importlib.import_module("lightning.pytorch")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)

    class Module(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.model = model

        def training_step(self, batch, _):
            X, y = batch
            return F.cross_entropy(self.model(X), y)

        def validation_step(self, batch, _):
            X, y = batch
            self.log("val_accuracy", (self.model(X).argmax(1) == y).float().mean())

        def configure_optimizers(self):
            return torch.optim.AdamW(self.parameters(), lr=LR, weight_decay=0.0)

    torch.manual_seed(seed)
    quiet = dict.fromkeys(
        ("logger", "enable_checkpointing", "enable_progress_bar"), False
    )
    trainer = lightning.Trainer(
        max_epochs=epochs, devices=1, enable_model_summary=False, **quiet
    )
    trainer.fit(Module(), *loaders(data, 0))


CONTESTANTS: dict[str, Callable] = {
    "fovea": train_with_fovea,
    "loop": train_by_the_book,
    "loop, 2 workers": train_with_two_workers,
    "lightning": train_with_lightning,
}


def find_lightning() -> bool:
    """Make Lightning importable, from build/; tell whether that worked."""
    if not BUILD.exists():
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
        done = subprocess.run([*pip, "--target", str(BUILD), *LIGHTNING], check=False)
        if done.returncode:
            return False
    sys.path.append(str(BUILD))
    warnings.filterwarnings("ignore", module="lightning")
    return importlib.util.find_spec("lightning") is not None


def images(num_images: int) -> Dataset:
    """Fashion-MNIST where it is, else generated scenes."""
    try:
        return fovea.load("fashion_mnist", num_train=num_images)
    except DataError:
        return fovea.load("shapes", num_train=num_images)


def measure(data: Dataset, names: list[str], seeds: int, epochs: int) -> dict:
    """Return, by contestant, the seconds and test accuracies of one run per seed."""
    found = {name: {"seconds": [], "accuracy": []} for name in names}
    # Everyone's first run pays for imports and warming up: it doesn't count.
    few = Dataset(
        data.name,
        data.train.head(1000),
        data.val.head(100),
        data.test,
        data.class_names,
    )
    for seed in range(-1, seeds):
        torch.manual_seed(seed + 1)
        first = network(data)
        for name in names:
            model = copy.deepcopy(first)
            start = time.perf_counter()
            CONTESTANTS[name](model, few if seed < 0 else data, epochs, seed + 1)
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            seconds = time.perf_counter() - start
            print(f"round {seed + 1}, {name}: {seconds:.1f} s", file=sys.stderr)
            if seed >= 0:
                score = fovea.evaluate(model, data.test, precision="float32")
                found[name]["seconds"].append(seconds)
                found[name]["accuracy"].append(score.metric)
    return found


def flops_per_step(data: Dataset) -> int:
    """Count additions and multiplications of a step's matrix products, both ways."""
    model, X = network(data), data.train.to("cpu").X[:BATCH_SIZE]
    with FlopCounterMode(display=False) as counter:
        model(X).sum().backward()
    return counter.get_total_flops()


def peak_flops(device: torch.device, dtype: torch.dtype, size: int = 2048) -> float:
    """Return the best rate of a matrix product, in operations per second."""
    size = 8192 if device.type == "cuda" else size
    a = torch.rand(size, size, device=device).to(dtype)
    best = 0.0
    for _ in range(5):
        start = time.perf_counter()
        a @ a
        if device.type == "cuda":
            torch.cuda.synchronize()
        best = max(best, 2 * size**3 / (time.perf_counter() - start))
    return best


def shares(data: Dataset) -> dict[str, float]:
    """Return the operators that take most of `fit`'s time, with their shares."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with torch.profiler.profile() as profiler:
            train_with_fovea(network(data), data.train.head(5000), 1, 0)
    rows = profiler.key_averages()
    on_gpu = torch.cuda.is_available()
    time_of = {
        row.key: row.self_device_time_total if on_gpu else row.self_cpu_time_total
        for row in rows
    }
    total = sum(time_of.values())
    top = sorted(time_of, key=time_of.get, reverse=True)[:6]
    return {name: round(time_of[name] / total, 3) for name in top}


def report(data: Dataset, found: dict, epochs: int) -> dict:
    """Return the figures: medians, ratios, accuracies, and what bounds a step."""
    machine = Machine.of(network(data))
    medians = {name: statistics.median(row["seconds"]) for name, row in found.items()}
    num_images = len(data.train) * epochs
    steps = epochs * -(-len(data.train) // BATCH_SIZE)
    dtype = torch.bfloat16 if machine.bfloat16 else torch.float32
    peak = peak_flops(machine.device, dtype)
    rate = flops_per_step(data) * steps / medians["fovea"]
    loop = min(medians["loop"], medians["loop, 2 workers"])
    lightning = medians.get("lightning")
    return {
        "loop_ratio": round(loop / medians["fovea"], 2),
        "lightning_ratio": lightning and round(lightning / medians["fovea"], 2),
        "accuracy": {
            name: [round(value, 4) for value in row["accuracy"]]
            for name, row in found.items()
        },
        "seconds": {name: float(f"{value:.3g}") for name, value in medians.items()},
        "images_per_second": {n: round(num_images / s) for n, s in medians.items()},
        "data": f"{data.name}, {len(data.train)} images, {epochs} epochs",
        "device": str(machine.device),
        "threads": torch.get_num_threads(),
        "bfloat16": machine.bfloat16,
        "channels_last": machine.channels_last,
        "peak_gflops": round(peak / 1e9),
        "share_of_peak": round(rate / peak, 3),
        "time_goes_to": shares(data),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="print the figures alone")
    args = parser.parse_args()
    names = [name for name in CONTESTANTS if name != "lightning" or find_lightning()]
    data = images(args.images)
    figures = report(data, measure(data, names, args.seeds, args.epochs), args.epochs)
    if args.json:
        print(json.dumps(figures, indent=2))
        return
    print(f"{figures['data']} on {figures['device']}, {figures['threads']} threads")
    for name in names:
        accuracy = statistics.mean(figures["accuracy"][name])
        rate = figures["images_per_second"][name]
        seconds = figures["seconds"][name]
        print(
            f"{name:16} {seconds:8.2f} s {rate:8,} images/s   accuracy {accuracy:.3f}"
        )
    for name in ("loop_ratio", "lightning_ratio", "share_of_peak", "time_goes_to"):
        print(f"{name}: {figures[name]}")


if __name__ == "__main__":
    main()
