"""The command ``dlmap``: short forms of what ``lightning predict`` does."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from mslique import lightning_cli

from .report import report

TINY = Path(__file__).parents[2] / "configs" / "dlmap" / "tiny.yaml"


def main(args: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    parser = _parser()
    options, rest = parser.parse_known_args(args)
    if options.command == "report":
        if rest:
            parser.error(f"unknown arguments: {' '.join(rest)}")
        return lightning_cli.sentence(report, options.output)
    predict = ["predict", "--config", str(options.config), "--data.folder", options.input, "--output", options.output]
    if options.overwrite:
        predict += ["--data.overwrite", "true"]
    if options.limit is not None:
        predict += ["--data.limit", str(options.limit)]
    return lightning_cli.main([*predict, *rest])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="dlmap", description="Diffusion-latent MAP enhancement of photographs.")
    commands = parser.add_subparsers(dest="command", required=True)
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
    show = commands.add_parser("report", help="write OUT/report.html again, from what the runs have left in OUT")
    show.add_argument("output", metavar="OUT", help="output folder of dlmap enhance or lightning predict")
    return parser
