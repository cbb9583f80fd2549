"""``dlmap study serve`` and ``dlmap study export``: arguments."""

import argparse
from pathlib import Path
from typing import Any

from mslique import UserError, lightning_cli

from .definition import Study


def add_serve(steps: Any) -> None:
    serve = steps.add_parser(
        "serve",
        help="show the study to observers in their browsers",
        description="Shows the study as a web page, at the link that is printed, until Ctrl-C. Whoever opens the link"
        " becomes an observer and gets a personal link, with which a session that was broken off goes on. Every answer"
        " is in STUDY/answers.sqlite before the page hears that it is. Needs the extra `study`.",
    )
    serve.add_argument("study", metavar="STUDY", help="folder made by dlmap study create")
    serve.add_argument(
        "--host", default="127.0.0.1", help="address to listen at; the default is this machine's alone: %(default)s"
    )
    serve.add_argument("--port", type=int, default=8000, help="0 takes a free one (default: %(default)s)")
    lengths = {
        "trials": (120, "pairs that an observer judges, at most as many as there are"),
        "catches": (8, "trials with a plainly worse picture mixed in, which show who is careless"),
        "practice": (3, "trials before them that do not count"),
        "break-every": (40, "trials between two rests; 0 for no rest"),
    }
    for name, (default, text) in lengths.items():
        serve.add_argument(f"--{name}", type=int, default=default, metavar="N", help=f"{text} (default: %(default)s)")
    serve.add_argument("--question", metavar="TEXT", help="what observers are asked (default: as the study has it)")
    serve.set_defaults(run=lambda options: lightning_cli.sentence(_serve, options))


def _serve(options: argparse.Namespace) -> None:
    from .sessions import Plan

    try:
        from .serve import serve
    except ModuleNotFoundError as reason:
        raise UserError(f"the page for observers needs {reason.name}: pip install '.[study]'") from reason
    plan = Plan(options.trials, options.catches, options.practice, options.break_every)
    serve(Study.load(options.study), plan, options.question, options.host, options.port)


def add_export(steps: Any) -> None:
    export = steps.add_parser(
        "export",
        help="write the observers' answers as csv",
        description="Writes one line an answered trial: observer, kind (practice, pair or catch), photo, left, right,"
        " choice (left or right), seconds from the pictures' appearance to the choice, time (UTC).",
    )
    export.add_argument("study", metavar="STUDY", help="folder made by dlmap study create")
    export.add_argument("answers", type=Path, metavar="FILE", help="csv of the answers")
    export.add_argument(
        "--observers", type=Path, metavar="FILE", help="csv of the observers: answered trials, screen, browser"
    )
    export.set_defaults(run=lambda options: lightning_cli.sentence(_export, options))


def _export(options: argparse.Namespace) -> None:
    from .export import export

    export(Study.load(options.study), options.answers, options.observers)
