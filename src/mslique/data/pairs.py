"""Images made elsewhere and their clean originals."""

from pathlib import Path

from ..io.errors import UserError
from ..io.listing import list_images
from ..io.opening import image_size


def paired_images(outputs: str | Path, originals: str | Path, smallest: int) -> list[tuple[Path, Path]]:
    """Every image below ``outputs`` with the image of the same relative path, but for the extension, in ``originals``.

    Raises:
        UserError: a folder is missing or empty, an original is missing or of another size, or a side is shorter than
            ``smallest`` pixels.
    """
    clean = {path.relative_to(originals).with_suffix(""): path for path in list_images(originals)}
    pairs = []
    for path in list_images(outputs):
        original = clean.get(path.relative_to(outputs).with_suffix(""))
        if original is None:
            raise UserError(f"{path} has no original of this name in {originals}: add it, or remove the output")
        size, expected = image_size(path), image_size(original)
        if size != expected or min(size) < smallest:
            raise UserError(
                f"{path} is {size[0]}x{size[1]} and its original {expected[0]}x{expected[1]}: give images of the size"
                f" of their originals, with sides of {smallest} pixels or more"
            )
        pairs.append((path, original))
    return pairs
