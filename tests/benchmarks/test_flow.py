"""The figures of docs/priors.md are those that benchmarks/flow.py prints."""

import re
from pathlib import Path

import flow
import pytest

PAGE = (Path(__file__).parents[2] / "docs" / "priors.md").read_text()
CALLS = {"edict": 40, "bdia": 20, "obelm": 20, "Euler, not exact": 20}


def test_the_page_has_what_the_command_prints(capsys: pytest.CaptureFixture[str]) -> None:
    flow.main()
    printed = re.findall(r"^\| ([\w, ]+) \| 20 \| (.*) \|$", capsys.readouterr().out, flags=re.MULTILINE)
    assert [name for name, _ in printed] == list(CALLS)
    for name, errors in printed:
        assert re.search(rf"^\| `?{name}`? \| {CALLS[name]} \| {re.escape(errors)} \|$", PAGE, flags=re.MULTILINE)
