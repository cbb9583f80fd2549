"""``dlmap study``: the arguments of its commands. :mod:`~.commands` has what they do, and is imported when one runs."""

import argparse
import dataclasses
from functools import partial
from pathlib import Path
from typing import Any

from mslique import SHIPPED

from .options import Bounds, Options, Plan

PUBLISHED_TINY = SHIPPED / "configs" / "dlmap" / "published_tiny.yaml"
MODELS = (
    "[NAME=]mslique:FOLDER, of an MS-LIQE, or [NAME=]pyiqa:METRIC; options follow as ,KEY=VALUE (such as"
    " pyiqa:cnniqa,pretrained_model_path=FILE). Constants that put the models on one scale are fitted to degraded crops"
    " of the photographs (256 pixels at least), as dlmap calibrate does"
)


def add(commands: Any) -> None:
    """Add ``study`` with its own commands to the parser of ``dlmap``."""
    summary = "compare quality models, or enhancers, by the images that they make"
    details = "create the stimuli, score them by machine, let people choose in a browser, rank"
    study = commands.add_parser("study", help=summary, description=f"{summary}: {details}")
    steps = study.add_subparsers(dest="step", required=True)
    for add_step in (_add_create, _add_score, _add_serve, _add_export, _add_rank, _add_simulate):
        add_step(steps)


def _add_step(steps: Any, name: str, summary: str, description: str, **options: Any) -> Any:
    parser = steps.add_parser(name, help=summary, description=description, **options)
    parser.set_defaults(run=partial(_run, name))
    nargs = "?" if name == "rank" else None
    parser.add_argument("study", type=Path, nargs=nargs, metavar="STUDY", help="folder of the study")
    return parser


def _run(name: str, options: argparse.Namespace) -> int:
    from mslique import lightning_cli

    from . import commands

    return lightning_cli.sentence(commands.run, getattr(commands, name), options)


def _add_fields(parser: Any, kind: type) -> None:
    """Add an option for every field of a dataclass of :mod:`~.options` that has a help text."""
    for field in dataclasses.fields(kind):
        if "help" in field.metadata:
            _add_number(parser, field.name.replace("_", "-"), field.default, field.metadata["help"])


def _add_number(parser: Any, name: str, default: Any, text: str) -> None:
    text = f"{text} (default: %(default)s)"
    parser.add_argument(f"--{name}", type=type(default), default=default, metavar="N", help=text)


def _add_create(steps: Any) -> None:
    create = _add_step(
        steps,
        "create",
        "enhance every photograph with every model",
        "Enhances every photograph with every quality model, all else equal, by lightning predict. Writes"
        " STUDY/originals, STUDY/outputs/CONTESTANT, STUDY/configs and STUDY/study.json. Tries all models before the"
        " work. The same command goes on where an earlier one ended. All other options go to lightning predict, such"
        " as --trainer.devices 2, --data.limit 6, --model.ascent.iterations 3.",
        allow_abbrev=False,
    )
    create.set_defaults(passes_on=True)
    photos = "photographs (searched recursively)"
    create.add_argument("--data.folder", dest="photos", required=True, metavar="PHOTOS", help=photos)
    config = "YAML file of the enhancement (default: %(default)s)"
    create.add_argument("--config", type=Path, default=PUBLISHED_TINY, help=config)
    contestants = create.add_mutually_exclusive_group(required=True)
    models = (
        "files that hold model.init_args.objective.init_args.quality with all its options, and nothing else; the name"
        " of the file is the name of the contestant"
    )
    contestants.add_argument("--models", type=Path, nargs="+", metavar="YAML", help=models)
    contestants.add_argument("--quality", nargs="+", metavar="MODEL", help=MODELS)
    enhancers = (
        "instead of models: outputs of other enhancers for the same photographs, of the same names (suffixes may"
        " differ) and sizes. Contestants are NAME, the outputs as they are, and NAME+MAP, refined by lightning predict"
    )
    contestants.add_argument("--enhancers", nargs="+", metavar="NAME=FOLDER", help=enhancers)


def _add_score(steps: Any) -> None:
    score = _add_step(
        steps,
        "score",
        "let every model judge every contestant's pictures",
        "Scores every picture with the quality model of every contestant (of enhancers: with the model that refined"
        " them) and measures its distance to the original. Writes STUDY/scores.csv, fidelity.csv, matrix.csv and"
        " matrix.png: a cell is the share of comparisons, with each other contestant on each photograph, that the row's"
        " contestant wins by the scores of the column's model. A model compares the other contestants without the"
        " pictures that were made with it.",
    )
    score.add_argument("--quality", nargs="+", default=[], metavar="MODEL", help=f"further judges: {MODELS}")


def _add_serve(steps: Any) -> None:
    serve = _add_step(
        steps,
        "serve",
        "show the study to observers in their browsers",
        "Shows the study as a web page, at the link that it prints, until Ctrl-C. Everybody who opens the link becomes"
        " an observer and gets a personal link; a session that was broken off goes on there. Every answer is in"
        " STUDY/answers.sqlite before the page is told so. Needs the extra `study`.",
    )
    host = "address to listen at; only this machine can reach the default: %(default)s"
    serve.add_argument("--host", default="127.0.0.1", help=host)
    _add_number(serve, "port", 8000, "0 takes a free one")
    _add_fields(serve, Plan)
    serve.add_argument("--question", metavar="TEXT", help="question to the observers (default: that of the study)")


def _add_export(steps: Any) -> None:
    export = _add_step(
        steps,
        "export",
        "write the observers' answers as csv",
        "Writes one line for each answered trial: observer, kind (practice, pair or catch), photo, left, right, choice"
        " (left or right), seconds from the display of the pictures to the choice, time (UTC).",
    )
    export.add_argument("answers", type=Path, metavar="FILE", help="csv of the answers")
    export.add_argument("--observers", type=Path, metavar="FILE", help="csv of the observers: trials, screen, browser")


def _add_rank(steps: Any) -> None:
    rank = _add_step(
        steps,
        "rank",
        "rank the contestants by the observers' answers",
        "Ranks contestants by forced choices: excludes careless observers, fits Bradley-Terry scores with a term for"
        " the side, bootstraps 95 % intervals over observers and photographs, tests all pairs, groups contestants that"
        " cannot be told apart. Writes ranking.csv, pairs.csv, observers.csv, ranking.pdf, ranking.png, ranking.html.",
    )
    answers = (
        "csv of answers instead of the study's own, with the columns observer, photo, left, right and choice (left,"
        " right, or the chosen name); kind (pair, catch, practice) and seconds may be missing"
    )
    rank.add_argument("--answers", type=Path, metavar="FILE", help=answers)
    rank.add_argument("--output", type=Path, metavar="FOLDER", help="for the results (default: STUDY/ranking)")
    _add_fields(rank, Options)
    correction = "of the p-values for the number of pairs (default: %(default)s)"
    rank.add_argument("--correction", choices=("holm", "none"), default="holm", help=correction)
    rank.add_argument("--keep-all", action="store_true", help="exclude no observer")
    _add_fields(rank.add_argument_group("screening", "an observer outside these bounds is excluded"), Bounds)


def _add_simulate(steps: Any) -> None:
    simulate = _add_step(
        steps,
        "simulate",
        "answer a study by simulated observers, to try it out",
        "Writes the answers of simulated observers into a study that has none, or into a csv. The observers follow a"
        " known preference: the order of the contestants, best first, or --scores, or --judge. All results from them"
        " are marked as simulated.",
    )
    _add_number(simulate, "observers", 20, "observers")
    _add_number(simulate, "careless", 0, "observers among them who answer at random, on one side, or at once")
    _add_number(simulate, "trials", 120, "pairs that each of them answers")
    _add_number(simulate, "seed", 0, "seed of their answers")
    _add_number(simulate, "side-bias", 0.1, "mean preference for the left side, logits")
    truth = simulate.add_mutually_exclusive_group()
    truth.add_argument("--scores", nargs="+", metavar="NAME=VALUE", help="each contestant's score in logits")
    truth.add_argument("--judge", metavar="NAME", help="take a quality model's scores, made by dlmap study score")
    simulate.add_argument("--output", type=Path, metavar="FILE", help="write a csv instead")
