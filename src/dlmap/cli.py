"""The command ``dlmap``: short forms of what ``lightning predict`` does, reports, and calibration.

Every command imports what it needs when it runs: ``dlmap --help`` takes a fraction of a second.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import yaml

from mslique import SHIPPED, UserError

from .study import cli as study

TINY = SHIPPED / "configs" / "dlmap" / "tiny.yaml"


def main(args: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    parser = _parser()
    options, rest = parser.parse_known_args(args)
    if rest and not getattr(options, "passes_on", False):
        parser.error(f"unknown arguments: {' '.join(rest)}")
    options.further = rest
    run: Callable[[argparse.Namespace], int] = options.run
    return run(options)


def _enhance(options: argparse.Namespace) -> int:
    from mslique import lightning_cli

    predict = ["predict", "--config", str(options.config), "--data.folder", options.input, "--output", options.output]
    if options.overwrite:
        predict += ["--data.overwrite", "true"]
    if options.limit is not None:
        predict += ["--data.limit", str(options.limit)]
    return lightning_cli.main([*predict, *options.further])


def _calibrate(options: argparse.Namespace) -> int:
    from mslique import lightning_cli

    return lightning_cli.sentence(_print_calibration, options)


def _print_calibration(options: argparse.Namespace) -> None:
    from . import calibrate

    model, entry = calibrate.load_raw(options.quality, _pairs(options.option))
    if options.labels is None:
        samples = calibrate.degraded(options.folder, options.samples)
    else:
        low, high = options.range
        samples = calibrate.labelled(options.folder, options.labels, low, high, options.lower_is_better)
    found = calibrate.fit(model, samples)
    entry["init_args"] |= calibrate.rounded(found.calibration)
    sys.stdout.write(f"# SRCC {found.srcc:.4f} over {found.images} images\n")
    if path := calibrate.store(options.quality, found.calibration):
        sys.stdout.write(f"# written to {path}: center and scale need not be given\n")
    sys.stdout.write(yaml.safe_dump({"quality": entry}, sort_keys=False))


def _pairs(options: Sequence[str]) -> dict[str, Any]:
    """KEY=VALUE texts as a dictionary, values read as YAML."""
    from .run.configuration import key_values

    wrong = [option for option in options if "=" not in option]
    if wrong:
        raise UserError(f"--option takes KEY=VALUE, got {wrong[0]!r}")
    return key_values(options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="dlmap", description="Diffusion-latent MAP enhancement of photographs.")
    commands = parser.add_subparsers(dest="command", required=True)
    _add_enhance(commands)
    _add_calibrate(commands)
    _add_report(commands)
    _add_embed(commands)
    study.add(commands)
    return parser


def _add_enhance(commands: Any) -> None:
    enhance = commands.add_parser(
        "enhance",
        help="enhance a folder of photographs, or one",
        description="Short for: lightning predict --config CONFIG --data.folder IN --output OUT. Every further option"
        " is passed on to it, such as --data.batch_size 8, --model.ascent.iterations 20, --trainer.devices 2.",
    )
    enhance.add_argument("input", metavar="IN", help="folder of photographs (searched recursively), or one file")
    enhance.add_argument("output", metavar="OUT", help="folder for the enhanced images and results.csv")
    enhance.add_argument(
        "--config", type=Path, default=TINY, help="YAML file of the enhancement (default: %(default)s)"
    )
    enhance.add_argument("--overwrite", action="store_true", help="do again what is done")
    enhance.add_argument("--limit", type=int, metavar="N", help="only the first N photographs, by name")
    enhance.set_defaults(run=_enhance, passes_on=True)


def _add_calibrate(commands: Any) -> None:
    calibrate = commands.add_parser(
        "calibrate",
        help="fit the constants that put a quality model on a scale of 0 to 100",
        description="Fits 100 / (1 + exp(-(score - center) / scale)) to labels and prints the lines for the YAML file."
        " The config.json of an exported MS-LIQE receives the constants."
        " Without --labels, FOLDER holds clean photographs: crops of them are degraded at random and labelled by their"
        " distance to the original.",
    )
    calibrate.add_argument("folder", type=Path, metavar="FOLDER", help="the images")
    calibrate.add_argument(
        "--quality", required=True, metavar="MODEL", help="folder, checkpoint or hub id of an MS-LIQE, or pyiqa's name"
    )
    calibrate.add_argument(
        "--option", action="append", default=[], metavar="KEY=VALUE", help="of pyiqa's metric; may be repeated"
    )
    calibrate.add_argument("--labels", type=Path, metavar="CSV", help="table of path (below FOLDER) and label")
    calibrate.add_argument(
        "--range", type=float, nargs=2, default=(0.0, 100.0), metavar=("LOW", "HIGH"), help="scale of the labels"
    )
    calibrate.add_argument("--lower-is-better", action="store_true", help="the labels are DMOS")
    calibrate.add_argument(
        "--samples", type=int, default=240, help="degraded crops where there are no labels (default: %(default)s)"
    )
    calibrate.set_defaults(run=_calibrate)


def _add_report(commands: Any) -> None:
    show = commands.add_parser("report", help="write OUT/report.html again, from what the runs have left in OUT")
    show.add_argument("output", metavar="OUT", help="output folder of dlmap enhance or lightning predict")
    show.set_defaults(run=_report)


def _report(options: argparse.Namespace) -> int:
    from mslique import lightning_cli

    from .run.report import report

    return lightning_cli.sentence(report, options.output)


def _add_embed(commands: Any) -> None:
    embed = commands.add_parser(
        "embed",
        help="embed a prompt once, so that enhancing needs no text encoder",
        description="Writes what the text encoders of MODEL make of a prompt. Give the file as --model.prior.embeddings"
        " FILE: the text encoders are not loaded then, and need not be on that machine.",
    )
    embed.add_argument("model", metavar="MODEL", help="diffusers folder or hub id")
    embed.add_argument("file", type=Path, metavar="FILE", help="safetensors file to write")
    embed.add_argument("--prompt", default="", help="default: the empty one")
    embed.add_argument("--negative-prompt", default="", help="what guidance leads away from")
    embed.add_argument("--guidance-scale", type=float, metavar="G", help="default: no guidance")
    embed.add_argument("--precision", default="float32", choices=("float32", "bf16"), help="of the text encoders")
    embed.set_defaults(run=_embed)


def _embed(options: argparse.Namespace) -> int:
    from mslique import lightning_cli

    return lightning_cli.sentence(_write_embeddings, options)


def _write_embeddings(options: argparse.Namespace) -> None:
    from .denoiser import as_dtype
    from .loading import load_condition, load_model
    from .run.files import write_atomically

    if options.file.is_dir():
        raise UserError(f"{options.file} is a folder: give the name of a file")
    model = load_model(options.model, as_dtype(options.precision))
    condition = load_condition(model, options.prompt, options.negative_prompt, options.guidance_scale)
    if condition is None:
        raise UserError(f"{options.model} takes no prompt")
    write_atomically(options.file, condition.save)
