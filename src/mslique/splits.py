"""The usual protocol: train and test on several random splits, and report median and quartiles."""

import csv
import subprocess
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from .io.errors import UserError
from .io.folders import filled
from .io.shipped import located

MEASURES = ("srcc", "plcc")


def run_splits(config: str, output: Path, splits: Sequence[int], options: Sequence[str]) -> str:
    """Run ``lightning fit``, and ``lightning test`` with the best checkpoint, for every split that is not done yet.

    An interrupted training goes on from its last checkpoint.

    Args:
        config: YAML file of the training.
        output: folder; split k has ``split-k`` below it.
        splits: numbers for ``--data.split``.
        options: further arguments of both commands.

    Returns:
        The table (Markdown), also in ``splits.md``; the correlations of every split are in ``splits.csv``.

    Raises:
        UserError: there is no such configuration, a command failed, or the tables cannot be written.
    """
    config = located(config)
    if not Path(config).is_file():
        raise UserError(f"{config} is not a file: give the YAML file of the training")
    for split in splits:
        folder = output / f"split-{split}"
        common = [f"--config={config}", f"--data.split={split}", f"--output={folder}", *options]
        if not _newest(folder, "test/correlations.csv"):
            if not (folder / "fitted").is_file():
                last = folder / "checkpoints" / "last.ckpt"
                _lightning("fit", *common, *([f"--ckpt_path={last}"] if last.is_file() else []))
                (folder / "fitted").touch()
            _lightning("test", *common, f"--ckpt_path={_best(folder)}")
    results = {split: _correlations(output / f"split-{split}") for split in splits}
    return _tables(output, results)


def _lightning(*arguments: str) -> None:
    if subprocess.run([sys.executable, "-m", "mslique.lightning_cli", *arguments], check=False).returncode:
        raise UserError(f"lightning {arguments[0]} failed, see above; the same command goes on from where it stopped")


def _newest(folder: Path, pattern: str) -> Path | None:
    return max(folder.glob(f"**/{pattern}"), key=lambda file: file.stat().st_mtime, default=None)


def _best(folder: Path) -> Path:
    """The checkpoint with the best validation, the only one that is not named last."""
    found = [file for file in folder.glob("checkpoints/*.ckpt") if file.name != "last.ckpt"]
    if not found:
        raise UserError(f"{folder} holds no best checkpoint: the configuration needs a ModelCheckpoint with a monitor")
    if len(found) > 1:
        raise UserError(f"{folder} holds {len(found)} checkpoints: the ModelCheckpoint needs save_top_k: 1")
    return found[0]


def _correlations(folder: Path) -> dict[str, dict[str, float]]:
    file = _newest(folder, "test/correlations.csv")
    if file is None:
        raise UserError(f"{folder} holds no test/correlations.csv: the test left no report")
    with file.open(newline="", encoding="utf-8") as stream:
        return {row["dataset"]: {m: float(row[m]) for m in MEASURES} for row in csv.DictReader(stream)}


def _tables(output: Path, results: dict[int, dict[str, dict[str, float]]]) -> str:
    rows = [(k, name, *values.values()) for k, datasets in results.items() for name, values in datasets.items()]
    values = defaultdict(list)
    for datasets in results.values():
        for name, correlations in datasets.items():
            values[name].append([correlations[m] for m in MEASURES])
        values["mean"].append(np.mean([[c[m] for m in MEASURES] for c in datasets.values()], axis=0).tolist())
    text = f"Median (lower quartile to upper quartile) over {len(results)} splits.\n\n"
    text += "| dataset | SRCC | PLCC |\n|---|---|---|\n"
    text += "".join(f"| {name} | {' | '.join(_spread(np.array(v)))} |\n" for name, v in values.items())
    with filled(output) as part:
        with (part / "splits.csv").open("w", newline="", encoding="utf-8") as stream:
            csv.writer(stream).writerows([("split", "dataset", *MEASURES), *rows])
        (part / "splits.md").write_text(text, encoding="utf-8")
    return text


def _spread(values: np.ndarray) -> list[str]:
    """(splits, measures) to a text for every measure."""
    low, middle, high = np.quantile(values, (0.25, 0.5, 0.75), axis=0)
    return [f"{m:.3f} ({a:.3f} to {b:.3f})" for a, m, b in zip(low, middle, high, strict=True)]
