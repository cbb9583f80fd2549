"""Tables and pictures of evidence.py, from the files that it left."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

Row = dict[str, Any]
Rows = dict[tuple[str, str], Row]
"""By group and photograph."""
JUDGES = ("witness", "NIQE", "PIQE", "BRISQUE")
MOVES = ("drift", "colour")
"""Measured from the input, for which they are 0."""
DISTANCES = ("PSNR", "SSIM", "FSIM", "NLPD", "colours", "committee")
CELL, HEAD = 260, 24


def write_tables(output: Path) -> str:
    """Write OUT/tables.md and OUT/pictures.png; returns the tables."""
    paths = sorted((output / "rows").glob("*/*.json"))
    rows = [row for path in paths for row in json.loads(path.read_text())["rows"]]
    ours = unique(row["method"] for row in rows if row.get("seconds"))
    others = ("random", "undamaged", "fine, oversharpened", "fine, undamaged", "real")
    by_group = {group: [row for row in rows if row["group"] == group] for group in others}
    degraded = [row for row in rows if row["group"] not in others]
    parts = []
    for title, some, columns in (
        ("eight mixtures", degraded, (*JUDGES, *DISTANCES)),
        ("random mixtures", by_group["random"], (*JUDGES, *DISTANCES)),
        ("undamaged", by_group["undamaged"], ("SSIM", "committee")),
        ("fine texture, oversharpened", by_group["fine, oversharpened"], (*JUDGES, *DISTANCES)),
        ("fine texture, undamaged", by_group["fine, undamaged"], ("SSIM", "committee")),
        ("photographs as they are", by_group["real"], JUDGES),
    ):
        parts += [f"\n### {title}: change from the input\n", means(some, ("quality", "drift", *columns))]
        if "committee" in columns:
            parts += [f"\n### {title}: is the score earned?\n", earned(some)]
        if not title.endswith("undamaged"):
            parts += [f"\n### {title}: how often a judge prefers the first of two\n", preferences(some, ours)]
    parts += ["\n### by mixture: change from the input\n", by_mixture(degraded, ours)]
    text = "\n".join(parts) + "\n"
    (output / "tables.md").write_text(text)
    draw(degraded, ours[0], output).save(output / "pictures.png", optimize=True)
    return text


def unique(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))


def finals(rows: Sequence[Row], method: str) -> Rows:
    return select(rows, method, "final")


def select(rows: Sequence[Row], method: str, variant: str) -> Rows:
    return {(r["group"], r["photo"]): r for r in rows if (r["method"], r["variant"]) == (method, variant)}


def interval(values: dict[tuple[str, str], float], resamples: int = 2000) -> tuple[float, float, float]:
    """Mean with its 95 % bootstrap interval; photographs are drawn, with all that was made of each."""
    photos = unique(photo for _, photo in values)
    table = [[value for (_, name), value in values.items() if name == photo] for photo in photos]
    sums, counts = np.array([sum(line) for line in table]), np.array([len(line) for line in table])
    drawn = np.random.default_rng(0).integers(len(photos), size=(resamples, len(photos)))
    low, high = np.quantile(sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1), (0.025, 0.975))
    return sums.sum() / counts.sum(), low, high


def shown(values: dict[tuple[str, str], float], text: str = "{:+.3g}") -> str:
    values = {key: value for key, value in values.items() if np.isfinite(value)}
    if not values:
        return ""
    mean, low, high = (text.format(value) for value in interval(values))
    return f"{mean} ({low} to {high})"


def means(rows: Sequence[Row], columns: Sequence[str]) -> str:
    """A line a method: the change of every column, with intervals; the input's own values first."""
    before = finals(rows, "unchanged")
    lines = [f"| method | {' | '.join(columns)} | s an image |", "|---" * (len(columns) + 2) + "|"]
    level = (np.mean([row[name] for row in before.values()]) for name in columns)
    lines.append(f"| the input itself | {' | '.join(f'{value:.4g}' for value in level)} | |")
    for method in unique(row["method"] for row in rows):
        after = finals(rows, method)
        if method == "unchanged":
            continue
        cells = [
            shown({k: row[name] - before[k][name] for k, row in after.items()})
            if all(name in row for row in after.values())
            else ""
            for name in columns
        ]
        seconds = [row["seconds"] for row in after.values() if row.get("seconds")]
        lines.append(f"| {method} | {' | '.join(cells)} | {f'{np.mean(seconds):.2f}' if seconds else ''} |")
    return "\n".join(lines)


def preferences(rows: Sequence[Row], ours: Sequence[str]) -> str:
    """Shares of the images on which quality, or a judge, scores the first of two results higher.

    Two equal results, such as a photograph that was left as it was and its input, are no preference: ``differ`` counts
    the others.
    """
    names = ("quality", *JUDGES)
    lines = [f"| | images | differ | {' | '.join(names)} | most judges |", "|---" * (len(names) + 4) + "|"]
    clean, before = finals(rows, "clean original"), finals(rows, "unchanged")
    if clean:
        lines.append(votes("clean original against the input", clean, before, names))
    for one in ours:
        after = finals(rows, one)
        lines.append(votes(f"{one}, against the input", after, before, names))
        for kind in ("equal score", "equal drift"):
            for method in ("direct ascent", "pixel MAP"):
                other = select(rows, method, f"{kind}: {one}")
                lines.append(votes(f"{one}, against {method} at {kind}", after, other, names))
    return "\n".join(lines)


def votes(label: str, first: Rows, second: Rows, names: Sequence[str]) -> str:
    both = [key for key in first if key in second]
    wins = {name: {k: float(first[k][name] > second[k][name]) for k in both} for name in names}
    most = {k: float(sum(wins[name][k] for name in JUDGES) > len(JUDGES) / 2) for k in both}
    cells = [shown(column, "{:.0%}") for column in (*wins.values(), most)]
    differ = sum(any(first[k][name] != second[k][name] for name in ("drift", *names)) for k in both)
    return f"| {label} | {len(both)} | {differ} | {' | '.join(cells)} |"


def by_mixture(rows: Sequence[Row], ours: Sequence[str]) -> str:
    measures = ("PSNR", "SSIM", "FSIM", "committee", *JUDGES)
    lines = [f"| mixture | method | {' | '.join(measures)} |", "|---" * (len(measures) + 2) + "|"]
    before = finals(rows, "unchanged")
    for group in unique(row["group"] for row in rows):
        for method in ours:
            after = {k: row for k, row in finals(rows, method).items() if k[0] == group}
            cells = (shown({k: row[name] - before[k][name] for k, row in after.items()}) for name in measures)
            lines.append(f"| {group} | {method} | {' | '.join(cells)} |")
    return "\n".join(lines)


def earned(rows: Sequence[Row]) -> str:
    """A line a method: the change of the optimised score, and of the label by the committee that taught it.

    And on how many images nothing is left in 8 bits, or a colour has moved so far that it can be seen side by side.
    """
    heads = ("method", "quality", "committee", "it rises on", "worst", "unchanged", "colour moves by 1 on", "furthest")
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    before = finals(rows, "unchanged")
    for method in unique(row["method"] for row in rows):
        after = finals(rows, method)
        if method == "unchanged":
            continue
        quality, label = (
            np.array([row[name] - before[key][name] for key, row in after.items()]) for name in ("quality", "committee")
        )
        drift, color = (np.array([row[name] for row in after.values()]) for name in MOVES)
        rises, *moved = (f"{int(yes.sum())} of {len(label)}" for yes in (label > 0, drift == 0, color > 1))
        cells = (f"{quality.mean():+.1f}", f"{label.mean():+.2f}", rises, f"{label.min():+.1f}", *moved)
        lines.append(f"| {method} | {' | '.join(cells)} | {color.max():.1f} |")
    return "\n".join(lines)


def draw(rows: Sequence[Row], method: str, output: Path) -> Image.Image:
    """The input with the best, the median and the worst change of FSIM by ``method``, by every method."""
    before, after = finals(rows, "unchanged"), finals(rows, method)
    order = sorted(after, key=lambda k: after[k]["FSIM"] - before[k]["FSIM"], reverse=True)
    chosen = {"best": order[0], "median": order[len(order) // 2], "worst": order[-1]}
    methods = unique(row["method"] for row in rows)
    sheet = Image.new("RGB", (CELL * len(methods), (CELL + HEAD) * len(chosen)), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(14)
    for line, (label, key) in enumerate(chosen.items()):
        for column, name in enumerate(methods):
            place = (column * CELL, line * (CELL + HEAD))
            title = f"{label}: {key[0]}" if name == "unchanged" else name
            pen.text((place[0] + 4, place[1] + 4), title, fill="black", font=font)
            with Image.open(output / "images" / name / key[0] / f"{key[1]}.png") as picture:
                large = picture.convert("RGB").resize((CELL - 4, CELL - 4), Image.Resampling.NEAREST)
            sheet.paste(large, (place[0], place[1] + HEAD))
    return sheet
