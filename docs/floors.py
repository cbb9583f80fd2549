"""The floors of the house, read from the imports: who may import whom, and the picture of docs/architecture.md.

    python docs/floors.py docs/floors.svg

A module imports modules of its own room and of the floors below, never of a floor above (tests/test_floors.py).
"""

import ast
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

SRC = Path(__file__).parents[1] / "src"
FLOORS = (
    ("dlmap commands",),
    ("dlmap.study",),
    ("dlmap calibration",),
    ("dlmap.run", "dlmap.pretrain"),
    ("dlmap core",),
    ("mslique commands",),
    ("mslique training",),
    ("mslique.data",),
    ("mslique model",),
    ("mslique.io",),
)
"""Rooms, from the roof to the ground."""
PLACES = {
    "dlmap commands": ("dlmap.cli",),
    "dlmap calibration": ("dlmap.calibrate",),
    "mslique commands": ("mslique.cli", "mslique.lightning_cli"),
    "mslique training": ("mslique.module", "mslique.evaluation", "mslique.splits"),
}
"""Rooms without a folder of their own; every other module beside the folders belongs to the core or to the model."""
REST = {"dlmap": "dlmap core", "mslique": "mslique model"}
COLOURS = {"dlmap": "#dbe7f5", "mslique": "#e6f0dc"}


def modules() -> dict[str, Path]:
    """Every module by its dotted name; a package by its own."""
    found = {}
    for path in sorted(SRC.glob("*/**/*.py")):
        parts = path.relative_to(SRC).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def room(module: str) -> str:
    """The room of a module, such as ``dlmap.run`` or ``dlmap core``."""
    for name, members in PLACES.items():
        if module in members:
            return name
    folder = ".".join(module.split(".")[:2])
    return folder if any(folder in rooms for rooms in FLOORS) else REST[module.split(".")[0]]


def imports() -> Iterator[tuple[str, str]]:
    """(importer, imported) for every import of a module of ours; a package's public name counts for its module."""
    known = modules()
    public = {f"{package}.{name}": module for package in REST for name, module in _public(package)}
    for importer, path in known.items():
        if importer in REST:
            continue  # its names are imported when they are used
        base = importer.split(".") if path.name == "__init__.py" else importer.split(".")[:-1]
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom):
                above = base[: len(base) - node.level + 1] if node.level else []
                source = ".".join([*above, *([node.module] if node.module else [])])
                for alias in node.names:
                    full = f"{source}.{alias.name}"
                    target = full if full in known else public.get(full, source)
                    if target in known and target not in REST:
                        yield importer, target


def _public(package: str) -> Iterator[tuple[str, str]]:
    """(name, module) of the names that ``package`` offers, from its __init__.pyi."""
    for node in ast.parse((SRC / package / "__init__.pyi").read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom):
            yield from ((alias.name, f"{package}.{node.module}") for alias in node.names)


def upward() -> list[str]:
    """The imports that go to a floor above, or to another room on the same one, as sentences."""
    height = {name: -number for number, rooms in enumerate(FLOORS) for name in rooms}
    wrong = []
    for importer, imported in imports():
        here, there = room(importer), room(imported)
        if here != there and height[there] >= height[here]:
            wrong.append(f"{importer} ({here}) imports {imported} ({there})")
    return wrong


def draw(path: str) -> None:
    """The picture: a box for every room with its modules and lines, an arrow for the imports between two rooms."""
    import matplotlib
    from matplotlib.figure import Figure
    from matplotlib.patches import FancyBboxPatch

    members: dict[str, list[str]] = {name: [] for rooms in FLOORS for name in rooms}
    lines: Counter[str] = Counter()
    for module, file in modules().items():
        if module not in REST:
            name = room(module)
            lines[name] += len(file.read_text(encoding="utf-8").splitlines())
            if file.name != "__init__.py":
                short = module.removeprefix(f"{name}.")
                members[name].append(short.split(".", 1)[1] if short == module else short)
    figure = Figure(figsize=(11, 9), layout="tight")
    axes = figure.subplots()
    axes.set(xlim=(0, 100), ylim=(-len(FLOORS), 0))
    axes.axis("off")
    for number, rooms in enumerate(FLOORS):
        for column, name in enumerate(rooms):
            width, left = 96 / len(rooms) - 1, 2 + column * 96 / len(rooms)
            box = (left, -number - 0.95), width, 0.85
            axes.add_patch(
                FancyBboxPatch(
                    *box, boxstyle="round,pad=0.02", fc=COLOURS[name.replace(".", " ").split()[0]], ec="#555"
                )
            )
            axes.text(left + 1, -number - 0.15, f"{name}   ({lines[name]:,} lines)", va="top", weight="bold", size=9)
            axes.text(left + 1, -number - 0.42, _wrapped(members[name], int(1.9 * width)), va="top", size=7.5)
    matplotlib.rcParams["svg.hashsalt"] = "floors"  # the same picture is the same file
    figure.savefig(path, metadata={"Date": None})


def _wrapped(names: list[str], width: int) -> str:
    rows = [""]
    for name in names:
        if len(rows[-1]) + len(name) > width:
            rows.append("")
        rows[-1] += f"{name}   "
    return "\n".join(rows)


if __name__ == "__main__":
    draw(sys.argv[1])
