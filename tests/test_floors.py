"""The house keeps its floors (docs/architecture.md), and its core knows no trainer, no picture file and no table."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "docs"))

import floors

FOREIGN = {"lightning", "PIL", "csv"}


def test_no_import_goes_up() -> None:
    assert len(list(floors.imports())) > 300  # they are found at all
    assert floors.upward() == []


def test_dlmap_knows_only_what_mslique_offers() -> None:
    for name, path in floors.modules().items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if name.startswith("dlmap") and isinstance(node, ast.ImportFrom) and not node.level:
                assert not (node.module or "").startswith("mslique."), name


def test_an_import_that_goes_up_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        floors, "imports", lambda: iter([("dlmap.prior", "dlmap.run.module"), ("dlmap.cli", "dlmap.prior")])
    )
    assert floors.upward() == ["dlmap.prior (dlmap core) imports dlmap.run.module (dlmap.run)"]


def test_the_core_knows_no_trainer_and_no_files() -> None:
    core = {name: path for name, path in floors.modules().items() if floors.room(name) == "dlmap core"}
    assert {"dlmap.prior", "dlmap.ascent", "dlmap.domain.bands", "dlmap.solvers.edict"} <= core.keys()
    for path in core.values():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
            assert not {name.split(".")[0] for name in names} & FOREIGN, path


@pytest.mark.parametrize("command", ["import mslique, dlmap", "import mslique.cli, dlmap.cli; dlmap.cli._parser()"])
def test_importing_the_packages_loads_nothing_heavy(command: str) -> None:
    """So that ``--help`` is there at once; pyiqa among the rest: nothing is registered there by an import."""
    heavy = "{'torch', 'lightning', 'diffusers', 'transformers', 'pyiqa', 'open_clip', 'scipy', 'matplotlib'}"
    code = f"import sys; {command}; print(sorted({heavy} & sys.modules.keys()))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_every_public_name_is_there() -> None:
    import dlmap
    import mslique

    for package in (mslique, dlmap):
        assert all(getattr(package, name) is not None for name in package.__all__)
    with pytest.raises(AttributeError, match="nothing"):
        _ = mslique.nothing
