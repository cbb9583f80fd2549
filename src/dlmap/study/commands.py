"""What the commands of ``dlmap study`` do; each function takes the arguments of the command of its name."""

import contextlib
import dataclasses
import ipaddress
import math
import socket
import sys
from argparse import Namespace
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from mslique import UserError

from ..run.files import write_csv
from . import create as creation
from . import report
from . import score as scoring
from . import simulate as simulation
from .definition import Study
from .models import from_files, from_texts, unique
from .options import Bounds, Options, Plan
from .ranking import rank as rank_answers
from .store import Store, collected
from .trials import read_answers, write_answers

T = TypeVar("T")


def run(command: Callable[[Namespace], None], options: Namespace) -> None:
    """Run one of the commands below; raises a UserError if it is stopped, or if the file system refuses."""
    try:
        command(options)
    except KeyboardInterrupt:
        raise UserError("stopped: run the same command again to go on") from None
    except OSError as reason:
        place = reason.filename2 or reason.filename or "a file"
        way_out = "check the path, the rights and the free space"
        raise UserError(f"{place} cannot be written or read ({reason.strerror or reason}): {way_out}") from reason


def create(options: Namespace) -> None:
    base = creation.read_base(options.study, options.photos, options.config, options.further)
    if options.enhancers:
        left_out = creation.create_of_enhancers(base, named_folders(options.enhancers))
    else:
        entries = from_files(options.models) if options.models else from_texts(options.quality)
        left_out = creation.create_of_models(base, entries, calibrated=bool(options.models))
    for photo, reason in left_out.items():
        sys.stderr.write(f"left out of the study: {photo} ({reason})\n")
    study = options.study
    sys.stdout.write(f"{study} is ready: dlmap study score {study}, dlmap study serve {study}\n")


def named_folders(texts: Sequence[str]) -> dict[str, Path]:
    """The folders of NAME=FOLDER; raises a UserError if a text has another form or a name occurs twice."""
    pairs = [(name, Path(folder)) for name, _, folder in (text.partition("=") for text in texts) if name and folder]
    if len(pairs) < len(texts):
        raise UserError(f"--enhancers takes NAME=FOLDER, got {' '.join(texts)}")
    return unique(pairs)


def score(options: Namespace) -> None:
    sys.stdout.write(scoring.score(options.study, options.quality).text())


def serve(options: Namespace) -> None:
    """Show the page and take answers until Ctrl-C or SIGTERM."""
    try:
        import uvicorn

        from .server import application
    except ModuleNotFoundError as reason:
        raise UserError(f"the page for observers needs {reason.name}: pip install '.[study]'") from reason
    study = Study.load(options.study)
    study.check_pictures()
    app = application(study, _chosen(Plan, options), options.question)
    with _listen(options.host, options.port) as listener:
        sys.stderr.write(announcement(study, options.host, listener.getsockname()[1]))
        sys.stderr.flush()
        # no access log: its lines would hold the token
        settings: Any = {"access_log": False, "server_header": False, "lifespan": "off", "timeout_graceful_shutdown": 5}
        config = uvicorn.Config(app, log_level="warning", **settings)
        with contextlib.suppress(KeyboardInterrupt):
            uvicorn.Server(config).run(sockets=[listener])


def _listen(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except (OSError, OverflowError) as reason:
        place = f"{host}, port {port}"
        raise UserError(f"the page cannot be shown at {place}: {reason}; choose --host and --port") from None


def announcement(study: Study, host: str, port: int) -> str:
    """The link to the page, and a warning if other machines can reach it."""
    try:
        address = ipaddress.ip_address(host)
        everywhere, local = address.is_unspecified, address.is_loopback
    except ValueError:
        everywhere, local = False, host == "localhost"
    name = socket.gethostname() if everywhere else f"[{host}]" if ":" in host else host
    link = f"The page for observers: http://{name}:{port}/s/{study.token}  (Ctrl-C ends it; no answer is lost)\n"
    warning = (
        f"warning: {host} can be reached from other machines, and what is sent is not encrypted: everybody who sees the"
        " link can take part. Outside a network that you trust, leave --host out and put a proxy with TLS before it.\n"
    )
    return link if local else link + warning


def export(options: Namespace) -> None:
    targets = [path for path in (options.answers, options.observers) if path is not None]
    _check_targets(targets)
    if len({path.resolve() for path in targets}) < len(targets):
        raise UserError(f"{options.answers} cannot hold answers and observers: give two files")
    store = collected(Study.load(options.study))
    facts = store.facts()
    names = sorted({name for known in facts.values() for name in known})
    rows = [[o, len(store.trials(o)), len(store.answered(o)), *map(known.get, names)] for o, known in facts.items()]
    write_answers(options.answers, store.answers())
    if options.observers is not None:
        write_csv(options.observers, ["observer", "trials", "answered", *names], rows)


def rank(options: Namespace) -> None:
    if options.study is None and (options.answers is None or options.output is None):
        raise UserError("name a STUDY, or give --answers FILE.csv and --output FOLDER")
    study = None if options.study is None else Study.load(options.study)
    answers = read_answers(options.answers) if options.answers or study is None else collected(study).answers()
    output = options.output or options.study / "ranking"
    if options.answers and options.answers.resolve() in [(output / name).resolve() for name in report.FILES]:
        raise UserError(f"the ranking would replace {options.answers}: give another --output")
    chosen = dataclasses.replace(_chosen(Options, options), bounds=_chosen(Bounds, options))
    ranking = rank_answers(answers, study.contestants if study else (), chosen)
    report.write_ranking(output, ranking, study)
    for s in ranking.standings:
        interval = f"{s.score.value:+.2f} [{s.score.low:+.2f}, {s.score.high:+.2f}]"
        sys.stdout.write(f"{s.rank:>3}  {interval}  {s.contestant}  ({s.groups})\n")
    sys.stdout.write(f"{len(ranking.excluded)} of {len(ranking.observers)} observers excluded; see {output}\n")


def simulate(options: Namespace) -> None:
    study = Study.load(options.study)
    if not 0 <= options.careless <= options.observers or options.observers < 1:
        raise UserError("--observers must be 1 or more, --careless between 0 and --observers")
    if options.seed < 0 or not math.isfinite(options.side_bias):
        raise UserError(f"--seed must be 0 or more, --side-bias finite, got {options.seed}, {options.side_bias:g}")
    if options.output is not None:
        _check_targets([options.output])
    truth = simulation.preference(study, options.scores, options.judge)
    habits, rng = simulation.Habits(side_bias=options.side_bias), np.random.default_rng(options.seed)
    answers = simulation.simulate(truth, study.photos, options.observers, options.careless, options.trials, habits, rng)
    if options.output is not None:
        write_answers(options.output, answers)
    elif not Store(study.answers).enter(answers, {"simulated": True}):
        way_out = "write these to a file with --output FILE.csv, or move answers.sqlite away"
        raise UserError(f"{study.answers} has observers already; simulated ones must not be mixed with them: {way_out}")
    scores = ", ".join(f"{name} {score:+.2f}" for name, score in truth.items())
    sys.stdout.write(f"{len(answers)} simulated answers to {options.output or study.answers}; true scores: {scores}\n")


def _check_targets(targets: Sequence[Path]) -> None:
    """Raise a UserError if a table would replace a file of another kind, such as a picture or answers.sqlite."""
    for path in targets:
        if path.exists() and (path.suffix.lower() != ".csv" or not path.is_file()):
            raise UserError(f"{path} is there and is no .csv: give another name for the table")


def _chosen(kind: type[T], options: Namespace) -> T:
    """The dataclass of options with the values of the command line."""
    names = {field.name for field in dataclasses.fields(kind)} & vars(options).keys()  # type: ignore[arg-type]
    return kind(**{name: getattr(options, name) for name in names})
