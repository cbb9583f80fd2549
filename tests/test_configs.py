"""Every YAML under configs/ is accepted by the command as it is; what it names exists."""

from pathlib import Path

import pytest

from mslique import lightning_cli

CONFIGS = sorted((Path(__file__).parents[1] / "configs").rglob("*.yaml"))


@pytest.mark.parametrize("config", CONFIGS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_config_is_parsed(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    subcommand = "predict" if "PhotoFolderData" in config.read_text() else "fit"
    with pytest.raises(SystemExit) as stop:
        lightning_cli.main([subcommand, "--config", str(config), "--print_config"])
    assert stop.value.code == 0
    printed = capsys.readouterr().out
    assert "class_path:" in printed and "init_args:" in printed
