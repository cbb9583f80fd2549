"""``dlmap study create`` and ``dlmap study score``: arguments."""

import argparse
import sys
from pathlib import Path
from typing import Any

from mslique import UserError, lightning_cli

TINY = Path(__file__).parents[3] / "configs" / "dlmap" / "published_tiny.yaml"
MODELS = (
    "[NAME=]mslique:FOLDER, of an MS-LIQE, or [NAME=]pyiqa:METRIC; options of either follow as ,KEY=VALUE (such as"
    " pyiqa:cnniqa,pretrained_model_path=FILE). Constants that put them on one scale are fitted to degraded crops of"
    " the photographs (256 pixels at least), as dlmap calibrate does"
)


def add_create(steps: Any) -> None:
    create = steps.add_parser(
        "create",
        allow_abbrev=False,
        help="enhance every photograph with every model",
        description="Enhances every photograph with every quality model, all else equal, by lightning predict, and"
        " writes STUDY/originals, STUDY/outputs/CONTESTANT, STUDY/configs and STUDY/study.json. All models are tried"
        " before the work begins. The same command again goes on where an earlier one ended. Every further option is"
        " passed on to lightning predict, such as --trainer.devices 2, --data.limit 6, --model.ascent.iterations 3.",
    )
    create.add_argument("study", type=Path, metavar="STUDY", help="folder of the study")
    create.add_argument(
        "--data.folder", dest="photos", required=True, metavar="PHOTOS", help="photographs (searched recursively)"
    )
    create.add_argument("--config", type=Path, default=TINY, help="YAML file of the enhancement (default: %(default)s)")
    contestants = create.add_mutually_exclusive_group(required=True)
    contestants.add_argument(
        "--models",
        type=Path,
        nargs="+",
        metavar="YAML",
        help="files that hold model.init_args.objective.init_args.quality with all its options, and nothing else; the"
        " file's name is the contestant's",
    )
    contestants.add_argument("--quality", nargs="+", metavar="MODEL", help=MODELS)
    contestants.add_argument(
        "--enhancers",
        nargs="+",
        metavar="NAME=FOLDER",
        help="instead of models: outputs of other enhancers for the same photographs, of the same names (suffixes may"
        " differ) and sizes. Contestants are each of them as it is, and as NAME+MAP refined by lightning predict",
    )
    create.set_defaults(run=lambda options: lightning_cli.sentence(_create, options), passes_on=True)


def _create(options: argparse.Namespace) -> None:
    try:
        left_out = _created(options)
    except KeyboardInterrupt:
        raise UserError("stopped: run the same command again to go on") from None
    for photo, reason in left_out.items():
        sys.stderr.write(f"left out of the study: {photo} ({reason})\n")
    sys.stdout.write(
        f"{options.study} is ready: dlmap study score {options.study}, dlmap study serve {options.study}\n"
    )


def _created(options: argparse.Namespace) -> dict[str, str]:
    from . import create
    from .base import read_base
    from .entries import folders, from_files, from_texts
    from .stimuli import run_predict

    entries = from_files(options.models or [])
    base = read_base(options.study, options.photos, options.config, options.further)
    if options.enhancers:
        return create.create_of_enhancers(base, folders(options.enhancers), run_predict)
    if options.quality:
        entries = from_texts(options.quality, base.quality["init_args"].get("piece"))
    return create.create_of_models(base, entries, bool(options.models), run_predict)


def add_score(steps: Any) -> None:
    score = steps.add_parser(
        "score",
        help="let every model judge every contestant's pictures",
        description="Scores every picture with every contestant's quality model (of a study of enhancers: with the one"
        " that refined them) and measures how far it is from its original. Writes STUDY/scores.csv, fidelity.csv,"
        " matrix.csv and matrix.png: a cell is the share of comparisons, with each other contestant on each photograph,"
        " that the row's contestant wins in the eyes of the column's model. A model compares the others among"
        " themselves, without the pictures that were made to please it.",
    )
    score.add_argument("study", type=Path, metavar="STUDY", help="folder that dlmap study create made")
    score.add_argument("--quality", nargs="+", default=[], metavar="MODEL", help=f"further judges: {MODELS}")
    score.set_defaults(run=lambda options: lightning_cli.sentence(_score, options))


def _score(options: argparse.Namespace) -> None:
    from .score import score

    sys.stdout.write(score(options.study, options.quality).text())
