"""The command ``mslique``: score photographs, export and import models, train on every split of the datasets."""

import argparse
import io
import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .io.errors import UserError
from .io.listing import list_images
from .vocabulary import LEVELS, PRESETS, preset_for

if TYPE_CHECKING:
    from .scoring import Score


def main(args: Sequence[str] | None = None) -> int:
    """Exit status: 0, 1 if some image could not be scored, 2 after a mistake in the arguments, shown as a sentence."""
    options, further = _parser().parse_known_args(args)
    if further and options.run is not _splits:
        _parser().error(f"unrecognized arguments: {' '.join(further)}")
    options.further = further
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a file's name may be in another encoding
    try:
        return int(options.run(options))
    except UserError as mistake:
        sys.stderr.write(f"error: {mistake}\n")
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="mslique", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for add in (_add_score, _add_export, _add_import, _add_splits):
        add(commands)
    return parser


def _add_score(commands: Any) -> None:
    score = commands.add_parser("score", help="score photographs from 1 (bad) to 5 (perfect)")
    score.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="images, or folders of images")
    score.add_argument("--model", help="folder, hub id or Lightning checkpoint (default: the one that ships)")
    score.add_argument("--recursive", action="store_true", help="search the folders below the given ones too")
    score.add_argument("--levels", action="store_true", help=f"also the probabilities of {', '.join(LEVELS)}")
    score.add_argument("--csv", type=Path, metavar="F", help="also write file, score, error to this table")
    score.add_argument("--json", type=Path, metavar="F", help="the same as a JSON list")
    score.add_argument("--device", help="default: cuda where there is one, else cpu")
    score.add_argument("--batch-size", type=_positive, default=8, metavar="N", help="default: %(default)s")
    score.set_defaults(run=_score)


def _add_export(commands: Any) -> None:
    export = commands.add_parser("export", help="turn a Lightning checkpoint into a folder to share")
    export.add_argument("checkpoint", metavar="CKPT")
    export.add_argument("folder", metavar="FOLDER")
    export.add_argument("--command", help="for the model card: how it was trained")
    export.add_argument("--data", type=Path, metavar="FILE", help="for the card: Markdown about the training images")
    export.add_argument("--measured", help="for the card: results on other images")
    export.add_argument("--license", help="for the card: licence of the weights")
    export.add_argument("--softmax-divisor", type=float, metavar="X", help="replace the one used in training")
    export.add_argument("--half", action="store_true", help="store the weights in half precision")
    export.set_defaults(run=_export)


def _add_import(commands: Any) -> None:
    convert = commands.add_parser("import", help="turn weights of a CLIP into such a folder")
    convert.add_argument("file", metavar="FILE", help="in OpenAI's layout, or a folder of open_clip or transformers")
    convert.add_argument("folder", metavar="FOLDER")
    convert.add_argument("--backbone", help="a name, or a folder (default: FILE if it is a folder, else ViT-B-32)")
    convert.add_argument("--preset", choices=PRESETS, default="ms-liqe", help="prompts, views (default: %(default)s)")
    setting = "an argument of mslique.MSLIQE, such as softmax_divisor=4 or scales=[1.0]; can be repeated"
    convert.add_argument("--set", type=_setting, action="append", default=[], metavar="NAME=JSON", help=setting)
    convert.set_defaults(run=_import)


def _add_splits(commands: Any) -> None:
    splits = commands.add_parser(
        "splits",
        help="train and test on several splits of the datasets; median and quartiles of SRCC and PLCC",
        description="Runs lightning fit and lightning test for every split, skips those that are done, and writes"
        " splits.csv and splits.md to OUT. Every further option is passed on to both, such as --data.root FOLDER.",
    )
    splits.add_argument("config", metavar="CONFIG", help="YAML file of the training")
    splits.add_argument("output", type=Path, metavar="OUT", help="folder for checkpoints, logs, reports and the tables")
    splits.add_argument("--splits", type=int, nargs="+", default=[*range(1, 11)], metavar="N", help="default: 1 to 10")
    splits.set_defaults(run=_splits)


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"give a whole number from 1, received {text!r}")
    return int(text)


def _setting(text: str) -> tuple[str, Any]:
    name, _, value = text.partition("=")
    try:
        return name, json.loads(value)
    except json.JSONDecodeError as reason:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=JSON, such as softmax_divisor=4") from reason


def _score(options: argparse.Namespace) -> int:
    import torch
    from tqdm import tqdm

    from .scoring import score_files, write_tables
    from .sharing import TINY, load_model

    files = _images(options.paths, options.recursive)
    tables = [file for file in (options.csv, options.json) if file is not None]
    _check_tables(tables, files)
    device = options.device or ("cuda" if torch.cuda.is_available() else "cpu")
    model = _on_device(load_model(options.model or TINY), device)
    scores: list[Score] = []
    try:
        for score in tqdm(score_files(model, files, options.batch_size), total=len(files), unit="image", disable=None):
            tqdm.write(_line(score, options.levels), file=sys.stderr if score.error else sys.stdout)
            scores.append(score)
    except KeyboardInterrupt:
        raise UserError(f"stopped after {len(scores)} of {len(files)} images; the tables hold these") from None
    finally:
        if scores:
            write_tables(scores, options.levels, options.csv, options.json)
    return 1 if any(score.error for score in scores) else 0


def _check_tables(tables: Sequence[Path], images: Sequence[Path]) -> None:
    """Raise a UserError if a table cannot be written, or would replace an image or the other table."""
    for file in tables:
        if file.is_dir() or not file.absolute().parent.is_dir():
            raise UserError(f"{file} cannot be written: give a file in a folder that exists")
        if file.resolve() in {image.resolve() for image in images}:
            raise UserError(f"{file} is one of the images, which the table would replace: give another file")
    if len({file.resolve() for file in tables}) < len(tables):
        raise UserError(f"{tables[0]} cannot be both tables: give two files")


def _on_device(model: Any, device: str) -> Any:
    try:
        return model.to(device)
    except (RuntimeError, AssertionError) as reason:
        why = str(reason).splitlines()[0]
        raise UserError(f"--device {device} cannot be used ({why}): cpu always works") from reason


def _line(score: "Score", levels: bool) -> str:
    if score.error:
        return f"error: {score.error}"
    shares = "  ".join(f"{p:.3f}" for p in score.probabilities) + "  " if levels else ""
    return f"{score.score:.4f}  {shares}{score.file}"


def _images(paths: Iterable[Path], recursive: bool) -> list[Path]:
    return [image for path in paths for image in (list_images(path, recursive) if path.is_dir() else [path])]


def _export(options: argparse.Namespace) -> int:
    from .sharing import export_checkpoint

    data = None
    if options.data is not None:
        if not options.data.is_file():
            raise UserError(f"{options.data} is not a file: give a Markdown file about the training images")
        data = options.data.read_text(encoding="utf-8", errors="replace")
    texts = {name: text for name in ("command", "measured", "license") if (text := getattr(options, name)) is not None}
    changes = {"softmax_divisor": options.softmax_divisor, "half": options.half}
    export_checkpoint(options.checkpoint, options.folder, data=data, **texts, **changes)
    return 0


def _import(options: argparse.Namespace) -> int:
    from .model import MSLIQE

    config = {**preset_for(options.preset, options.backbone, options.file), **dict(options.set)}
    try:
        model = MSLIQE.from_clip_checkpoint(options.file, options.backbone, **config)
    except (TypeError, ValueError, RuntimeError) as reason:  # of an argument that is unknown or has no meaning
        if isinstance(reason, UserError):
            raise
        raise UserError(f"--set: {reason}: see help(mslique.MSLIQE) for the arguments") from reason
    model.save_pretrained(options.folder)
    return 0


def _splits(options: argparse.Namespace) -> int:
    from .splits import run_splits

    sys.stdout.write(run_splits(options.config, options.output, options.splits, options.further))
    return 0
