"""``dlmap study rank`` and ``dlmap study simulate``."""

import argparse
import dataclasses
import sys
from pathlib import Path
from typing import Any

from mslique import UserError, lightning_cli

from .answers import Answer, read_answers, write_answers
from .bounds import Bounds
from .definition import Study
from .store import collected


def add_rank(steps: Any) -> None:
    """Add ``rank`` to the parser of ``dlmap study``."""
    rank = steps.add_parser(
        "rank",
        help="rank the contestants by the observers' answers",
        description="Ranks contestants by forced choices: excludes observers who did not look, fits Bradley-Terry"
        " scores with a term for the side, bootstraps 95 % intervals over observers and photographs, tests all pairs,"
        " groups those that cannot be told apart. Writes ranking.csv, pairs.csv, observers.csv, ranking.pdf,"
        " ranking.png and ranking.html. Needs the extra `study`.",
    )
    rank.add_argument("study", metavar="STUDY", nargs="?", help="folder made by dlmap study create")
    rank.add_argument(
        "--answers",
        type=Path,
        metavar="FILE",
        help="csv of answers instead of the study's own, with the columns observer, photo, left, right and choice"
        " (left, right, or the chosen name); kind (pair, catch, practice) and seconds may be missing",
    )
    rank.add_argument("--output", type=Path, metavar="FOLDER", help="for the results (default: STUDY/ranking)")
    rank.add_argument(
        "--resamples", type=int, default=500, metavar="N", help="of the bootstrap, of each kind (default: %(default)s)"
    )
    rank.add_argument("--seed", type=int, default=0, help="of the bootstrap (default: %(default)s)")
    rank.add_argument(
        "--correction",
        choices=("holm", "none"),
        default="holm",
        help="of the p-values for the number of pairs (default: %(default)s)",
    )
    rank.add_argument("--keep-all", action="store_true", help="exclude no observer")
    screening = rank.add_argument_group("screening", "bounds outside of which an observer is excluded")
    for bound in dataclasses.fields(Bounds):
        screening.add_argument(
            f"--{bound.name.replace('_', '-')}",
            type=type(bound.default),
            default=bound.default,
            metavar="N",
            help=f"{bound.metadata['help']} (default: %(default)s)",
        )
    rank.set_defaults(run=lambda options: lightning_cli.sentence(_rank, options))


def _rank(options: argparse.Namespace) -> None:
    from .ranking import Options, rank
    from .ranking_report import write_ranking

    study, answers, output = _sources(options)
    bounds = Bounds(**{bound.name: getattr(options, bound.name) for bound in dataclasses.fields(Bounds)})
    chosen = Options(options.resamples, options.seed, options.correction, options.keep_all, bounds)
    ranking = rank(answers, study.contestants if study else (), chosen)
    try:
        write_ranking(output, ranking, study)
    except OSError as reason:
        raise UserError(f"the ranking cannot be written to {output}: {reason}") from reason
    for s in ranking.standings:
        interval = f"{s.score.value:+.2f} [{s.score.low:+.2f}, {s.score.high:+.2f}]"
        sys.stdout.write(f"{s.rank:>3}  {interval}  {s.contestant}  ({s.groups})\n")
    sys.stdout.write(f"{len(ranking.excluded)} of {len(ranking.observers)} observers excluded; see {output}\n")


def _sources(options: argparse.Namespace) -> tuple[Study | None, list[Answer], Path]:
    """Study if there is one, answers, folder for the results."""
    if options.study is not None:
        study = Study.load(options.study)
        answers = collected(study).answers() if options.answers is None else read_answers(options.answers)
        return study, answers, options.output or study.folder / "ranking"
    if options.answers is None or options.output is None:
        raise UserError("name a STUDY, or give --answers FILE.csv and --output FOLDER")
    return None, read_answers(options.answers), options.output


def add_simulate(steps: Any) -> None:
    """Add ``simulate`` to the parser of ``dlmap study``."""
    simulate = steps.add_parser(
        "simulate",
        help="answer a study by simulated observers, to try it out",
        description="Puts the answers of simulated observers into a study that has none, or into a csv. They follow a"
        " known preference: the contestants' order, best first, unless --scores or --judge says otherwise. Results from"
        " them are marked as simulated.",
    )
    simulate.add_argument("study", metavar="STUDY", help="folder made by dlmap study create")
    for name, (default, text) in {
        "observers": (20, "who take part"),
        "careless": (0, "of them who do not look: at random, on one side, at once"),
        "trials": (120, "pairs that each of them answers"),
        "seed": (0, "of their answers"),
    }.items():
        simulate.add_argument(f"--{name}", type=int, default=default, metavar="N", help=f"{text} (default: {default})")
    simulate.add_argument(
        "--side-bias", type=float, default=0.1, metavar="B", help="mean lean to the left, logits (default: %(default)s)"
    )
    truth = simulate.add_mutually_exclusive_group()
    truth.add_argument("--scores", nargs="+", metavar="NAME=VALUE", help="each contestant's score in logits")
    truth.add_argument("--judge", metavar="NAME", help="take a quality model's scores, made by dlmap study score")
    simulate.add_argument("--output", type=Path, metavar="FILE", help="write a csv instead")
    simulate.set_defaults(run=lambda options: lightning_cli.sentence(_simulate, options))


def _simulate(options: argparse.Namespace) -> None:
    import numpy as np

    from . import tryout
    from .simulate import Habits, simulate

    study = Study.load(options.study)
    if not 0 <= options.careless <= options.observers or options.trials < 1 or options.observers < 1:
        raise UserError("--observers and --trials must be 1 or more, --careless between 0 and --observers")
    if options.scores is not None:
        truth = tryout.as_given(study, options.scores)
    else:
        truth = tryout.as_judged(study, options.judge) if options.judge is not None else tryout.in_order(study)
    habits, rng = Habits(side_bias=options.side_bias), np.random.default_rng(options.seed)
    answers = simulate(truth, study.photos, options.observers, options.careless, options.trials, habits, rng)
    if options.output is not None:
        write_answers(options.output, answers)
    else:
        tryout.fill(study, answers)
    scores = ", ".join(f"{name} {score:+.2f}" for name, score in truth.items())
    sys.stdout.write(f"{len(answers)} simulated answers to {options.output or study.answers}; true scores: {scores}\n")
