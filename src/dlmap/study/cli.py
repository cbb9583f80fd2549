"""``dlmap study``: the steps of a comparison, each a command of its own."""

from typing import Any

from . import page_cli, ranking_cli, stimuli_cli


def add(commands: Any) -> None:
    """Add ``study`` with its own commands to the parser of ``dlmap``."""
    study = commands.add_parser(
        "study",
        help="compare quality models, or enhancers, by the images that they make",
        description="Compare quality models, or enhancers, by the images that they make: create the stimuli, score them"
        " by machine, let people choose in a browser, rank.",
    )
    steps = study.add_subparsers(dest="step", required=True)
    stimuli_cli.add_create(steps)
    stimuli_cli.add_score(steps)
    page_cli.add_serve(steps)
    page_cli.add_export(steps)
    ranking_cli.add_rank(steps)
    ranking_cli.add_simulate(steps)
