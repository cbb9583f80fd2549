"""The command ``mslique``: score photographs, export a training checkpoint, import the authors' weights."""

import argparse
import csv
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import torch

from .errors import UserError
from .images import list_images, read_image
from .model import MSLIQE
from .sharing import UNKNOWN, export_checkpoint

DEFAULT_MODEL = "data/mslique-tiny"


def main(args: Sequence[str] | None = None) -> int:
    """Exit status: 0, 1 if some image could not be scored, 2 after a mistake in the arguments, shown as a sentence."""
    options = _parser().parse_args(args)
    command: Callable[[argparse.Namespace], int] = options.run
    try:
        return command(options)
    except UserError as mistake:
        sys.stderr.write(f"error: {mistake}\n")
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="mslique", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    score = commands.add_parser("score", help="score photographs from 1 (bad) to 5 (perfect)")
    score.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="images, or folders searched recursively")
    score.add_argument("--model", default=DEFAULT_MODEL, help="folder or hub id (default: %(default)s)")
    score.add_argument("--csv", type=Path, metavar="F", help="also write file, score, error to this table")
    score.set_defaults(run=_score)

    export = commands.add_parser("export", help="turn a Lightning checkpoint into a folder to share")
    export.add_argument("checkpoint", metavar="CKPT")
    export.add_argument("folder", metavar="FOLDER")
    export.add_argument("--command", default=UNKNOWN, help="for the model card: how it was trained")
    export.add_argument("--data", type=Path, metavar="FILE", help="for the card: Markdown about the training images")
    export.add_argument("--measured", default=UNKNOWN, help="for the card: results on other images")
    export.add_argument("--softmax-divisor", type=float, metavar="X", help="replace the one used in training")
    export.set_defaults(run=_export)

    convert = commands.add_parser("import", help="turn weights in the layout of OpenAI's CLIP into such a folder")
    convert.add_argument("file", metavar="FILE")
    convert.add_argument("folder", metavar="FOLDER")
    convert.add_argument("--backbone", default="ViT-B-32", help="OpenAI's name (default: %(default)s)")
    convert.set_defaults(run=_import)
    return parser


def _score(options: argparse.Namespace) -> int:
    model = MSLIQE.from_pretrained(options.model).eval()
    rows = [_score_one(model, path) for path in _images(options.paths)]
    if options.csv is not None:
        try:
            with options.csv.open("w", newline="", encoding="utf-8") as file:
                csv.writer(file).writerows([("file", "score", "error"), *rows])
        except OSError as reason:
            raise UserError(f"{options.csv} cannot be written ({reason.strerror}): give another file") from reason
    return 1 if any(error for _, _, error in rows) else 0


def _score_one(model: MSLIQE, path: Path) -> tuple[str, str, str]:
    try:
        with torch.inference_mode():
            score = f"{model(read_image(path)[None]).item():.4f}"
    except UserError as mistake:
        sys.stderr.write(f"error: {mistake}\n")
        return str(path), "", str(mistake)
    sys.stdout.write(f"{score}  {path}\n")
    return str(path), score, ""


def _images(paths: Iterable[Path]) -> list[Path]:
    return [image for path in paths for image in (list_images(path) if path.is_dir() else [path])]


def _export(options: argparse.Namespace) -> int:
    data = UNKNOWN
    if options.data is not None:
        if not options.data.is_file():
            raise UserError(f"{options.data} is not a file: give a Markdown file about the training images")
        data = options.data.read_text(encoding="utf-8")
    export_checkpoint(
        options.checkpoint, options.folder, options.command, data, options.measured, options.softmax_divisor
    )
    return 0


def _import(options: argparse.Namespace) -> int:
    MSLIQE.from_clip_checkpoint(options.file, options.backbone).save_pretrained(options.folder)
    return 0
