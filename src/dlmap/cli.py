"""The command ``dlmap``: short forms of what ``lightning predict`` does."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from mslique import lightning_cli

TINY = Path(__file__).parents[2] / "configs" / "dlmap" / "tiny.yaml"


def main(args: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    options, rest = _parser().parse_known_args(args)
    predict = [
        "predict",
        "--config",
        str(options.config),
        "--data.folder",
        options.input,
        "--output",
        options.output,
    ]
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
    return parser
