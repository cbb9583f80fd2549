import argparse
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from dlmap.study import cli
from dlmap.study.options import Bounds, Options, Plan
from mslique import UserError

HEAVY = ("numpy", "scipy", "torch", "matplotlib", "PIL", "lightning", "starlette", "uvicorn")


def parsed(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    cli.add(parser.add_subparsers())
    return parser.parse_args(["study", *arguments])


def test_the_parser_imports_nothing_heavy() -> None:
    program = (
        "import argparse, sys; from dlmap.study import cli; cli.add(argparse.ArgumentParser().add_subparsers());"
        f"print([name for name in {HEAVY} if name in sys.modules])"
    )
    environment = {"PYTHONPATH": str(Path(__file__).parents[3] / "src")}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_every_option_has_its_default_and_its_type() -> None:
    serve, rank = parsed("serve", "S"), parsed("rank", "S")
    for kind, options in ((Plan, serve), (Options, rank), (Bounds, rank)):
        for field in fields(kind):
            if field.name != "bounds":
                assert getattr(options, field.name) == field.default, field.name
    given = parsed("rank", "--fewest", "3", "--fast-share", "0.5", "--correction", "none", "--keep-all")
    assert (given.fewest, given.fast_share, given.correction, given.keep_all) == (3, 0.5, "none", True)
    with pytest.raises(SystemExit):
        parsed("serve", "S", "--trials", "0.5")


@pytest.mark.parametrize(
    ("kind", "values", "sentence"),
    [
        (Plan, {"trials": 0}, "--trials must be at least 1, got 0"),
        (Plan, {"break_every": -1}, "--break-every must be at least 0"),
        (Bounds, {"one_sided": 1.5}, "--one-sided is a share between 0 and 1, got 1.5"),
        (Options, {"resamples": 3}, "--resamples 3 is too few"),
        (Options, {"seed": -1}, "--seed must be at least 0, got -1"),
        (Bounds, {"fast": float("nan")}, "--fast must be a number from 0, got nan"),
        (Bounds, {"fewest": -1}, "--fewest must be a number from 0, got -1"),
    ],
)
def test_options_out_of_range(kind: type, values: dict[str, float], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        kind(**values)
