from pathlib import Path

import pytest
import torch
import yaml
from toys import photos, save_quality

from dlmap.study import models
from dlmap.study.commands import named_folders
from dlmap.study.models import from_files, from_texts, overlay, recorded, with_constants
from mslique import UserError

PYIQA = {"class_path": "dlmap.quality.PyiqaQuality", "init_args": {"name": "musiq"}}


def write(path: Path, **settings: object) -> Path:
    objective = {"init_args": {"objective": {"init_args": {"quality": PYIQA}}}}
    path.write_text(yaml.safe_dump({"model": objective} | settings))
    return path


def test_texts_name_models() -> None:
    texts = ["mslique:some/folder", "other=mslique:x.ckpt,piece=64", "pyiqa:musiq", "cnn=pyiqa:cnniqa,pretrained=null"]
    found = from_texts(texts)
    assert list(found) == ["folder", "other", "musiq", "cnn"]
    assert found["folder"]["init_args"] == {"model": "some/folder"}
    assert found["other"]["init_args"] == {"model": "x.ckpt", "piece": 64}
    assert found["cnn"]["init_args"] == {"name": "cnniqa", "options": {"pretrained": None}}


@pytest.mark.parametrize(
    ("texts", "sentence"),
    [
        (["musiq"], "'musiq' is not"),
        (["pyiqa:musiq,x"], "is not"),
        (["pyiqa:musiq,x=["], "has an option that is no YAML"),
        (["pyiqa:musiq", "mslique:a/musiq"], "two contestants are called 'musiq'"),
        (["a/b=pyiqa:musiq"], "'a/b' cannot name a contestant"),
    ],
)
def test_wrong_texts(texts: list[str], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        from_texts(texts)


def test_folders() -> None:
    assert named_folders(["a=b=c"]) == {"a": Path("b=c")}
    for texts, sentence in ((["a"], "NAME=FOLDER"), (["=b"], "NAME=FOLDER"), (["a=b", "a=c"], "two contestants")):
        with pytest.raises(UserError, match=sentence):
            named_folders(texts)


def test_a_file_may_set_the_model_and_nothing_else(tmp_path: Path) -> None:
    assert from_files([write(tmp_path / "a.yaml")]) == {"a": PYIQA}
    with pytest.raises(UserError, match=r"b.yaml sets trainer: it must hold model.init_args.objective"):
        from_files([write(tmp_path / "b.yaml", trainer={"devices": 2})])
    text = (
        (tmp_path / "a.yaml")
        .read_text()
        .replace("  init_args:\n    objective", "  class_path: x\n  init_args:\n    objective")
    )
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(UserError, match=r"c.yaml sets model.class_path"):
        from_files([tmp_path / "c.yaml"])
    for content, sentence in (("model: [", "cannot be read as YAML"), ("", "sets no model")):
        (tmp_path / "d.yaml").write_text(content)
        with pytest.raises(UserError, match=f"d.yaml {sentence}"):
            from_files([tmp_path / "d.yaml"])


def test_an_overlay_leaves_nothing_to_the_file_below(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(overlay(PYIQA))
    options = from_files([tmp_path / "a.yaml"])["a"]["init_args"]
    assert options == {"name": "musiq", "center": None, "scale": None, "options": None}


def test_constants_are_found_again_for_the_same_model_only(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    assert recorded({"a": PYIQA}, {"a": path}) == {}
    path.write_text(overlay(with_constants(PYIQA, 1.5, 0.25)))
    assert recorded({"a": PYIQA}, {"a": path}) == {"a": with_constants(PYIQA, 1.5, 0.25)}
    assert recorded({"a": PYIQA, "b": PYIQA}, {"a": path, "b": tmp_path / "b.yaml"}) == {}
    assert recorded({"a": {**PYIQA, "init_args": {"name": "clipiqa"}}}, {"a": path}) == {}


def test_all_models_that_cannot_be_used_are_named_at_once(tmp_path: Path) -> None:
    save_quality(str(tmp_path / "good"))
    texts = ["mslique:" + str(tmp_path / "good"), "gone=mslique:" + str(tmp_path / "gone"), "pyiqa:piqe", "pyiqa:musik"]
    with pytest.raises(UserError) as refused:
        models.check(from_texts(texts), calibrated=False)
    message = str(refused.value)
    assert message.startswith("3 of 4 models cannot be used: ")
    for sentence in ("gone (", "piqe (piqe cannot be optimised", "musik (pyiqa has no no-reference metric 'musik'"):
        assert sentence in message
    with pytest.raises(UserError, match=r"cnniqa \(no calibration is known for cnniqa"):
        models.check({"cnniqa": {**PYIQA, "init_args": {"name": "cnniqa"}}}, calibrated=True)
    with pytest.raises(UserError, match=r"flat \(flat cannot be optimised: its gradient .* is zero"):
        models.check({"flat": with_constants(from_texts(texts[:1])["good"], -1e4, 1.0)}, calibrated=True)


def test_a_built_model_is_frozen_and_tells_its_raw_score(tmp_path: Path) -> None:
    save_quality(str(tmp_path))
    entry = with_constants(from_texts([f"q=mslique:{tmp_path},piece=32"])["q"], 3.0, 0.5)
    model, images = models.build(entry), photos(1, 48, 48)
    assert not any(weight.requires_grad for weight in model.parameters())
    whole = models.build({**entry, "init_args": {**entry["init_args"], "piece": 0}})
    torch.testing.assert_close(whole(images), 100 * torch.sigmoid((whole.raw(images) - 3.0) / 0.5))
    pieces = [images[..., top : top + 32, left : left + 32] for top in (0, 16) for left in (0, 16)]
    torch.testing.assert_close(model.raw(images), torch.stack([whole.raw(piece) for piece in pieces]).mean(dim=0))
