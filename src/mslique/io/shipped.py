"""The models and configurations that ship: found by their names from any working directory."""

import os
from pathlib import Path

PACKAGE = Path(__file__).parents[1]
SHIPPED = PACKAGE / "shipped" if (PACKAGE / "shipped" / "data").is_dir() else PACKAGE.parents[1]
"""The folder that holds ``data`` and ``configs``: inside the installed package, or the root of the repository."""
FOLDERS = ("data", "configs")


def located(name: str | Path) -> str:
    """The path of a model or configuration.

    Args:
        name: a path, or the name of what ships, such as ``data/ldm-tiny``, ``ldm-tiny``, ``configs/dlmap/tiny.yaml``
            or ``dlmap/tiny.yaml``.

    Returns:
        ``name`` if there is such a path, else the path of what ships under this name, else ``name``, unchanged.
    """
    path = Path(name)
    if os.path.exists(path) or path.is_absolute() or ".." in path.parts:
        return str(name)
    places = [SHIPPED] if path.parts[0] in FOLDERS else [SHIPPED / folder for folder in FOLDERS]
    candidates = (str(place / path) for place in places)
    return next((c for c in candidates if os.path.isdir(c) or (c.endswith(".yaml") and os.path.isfile(c))), str(name))


def shipped_models() -> list[str]:
    """The names of the models that ship, such as ``data/ldm-tiny``, sorted."""
    return sorted(f"data/{folder.name}" for folder in (SHIPPED / "data").iterdir() if folder.is_dir())
