import base64
import io
from pathlib import Path

import pytest
from PIL import Image

from dlmap.run.thumbnails import Thumbnails, shrink
from mslique import UserError, list_images


def decode(uri: str) -> Image.Image:
    head, data = uri.split(",")
    assert head == "data:image/webp;base64"
    return Image.open(io.BytesIO(base64.b64decode(data)))


@pytest.mark.parametrize(("many", "size"), [(False, (640, 320)), (True, (320, 160))])
def test_both_pictures_come_back_small(many: bool, size: tuple[int, int], tmp_path: Path) -> None:
    thumbnails = Thumbnails(tmp_path)
    thumbnails.save("a\n\udcff.png", Image.new("L", (1000, 500), 100), Image.new("RGB", (1000, 500), "red"))
    uris = thumbnails.as_uris("a\n\udcff.png", many)
    assert uris is not None and thumbnails.as_uris("other", many) is None
    before, after = map(decode, uris)
    assert before.size == after.size == size
    assert before.convert("RGB").getpixel((9, 9)) == pytest.approx((100, 100, 100), abs=2)
    assert after.convert("RGB").getpixel((9, 9)) == pytest.approx((255, 0, 0), abs=4)


def test_they_are_not_taken_for_photographs(tmp_path: Path) -> None:
    Thumbnails(tmp_path).save("a", Image.new("L", (8, 8)), Image.new("L", (8, 8)))
    with pytest.raises(UserError, match="holds no image"):
        list_images(tmp_path)


def test_small_pictures_keep_their_size_and_transparency() -> None:
    assert shrink(Image.new("LA", (9, 7))).size == (9, 7) and shrink(Image.new("LA", (9, 7))).mode == "RGBA"
