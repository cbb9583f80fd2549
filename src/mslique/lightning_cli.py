"""The command ``lightning``: ``fit | validate | test | predict`` for both packages, from one YAML file.

LightningCLI in subclass mode: the YAML names the module and the data module, and every option of theirs can be
overridden on the command line (``--data.folder X``, ``--model.ascent.iterations 5``, ``--trainer.devices 4``).
:mod:`mslique.io.trust` limits what a YAML can name.
"""

import logging
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import yaml
from jsonargparse import get_loader, set_loader
from lightning import LightningDataModule, LightningModule, Trainer
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from lightning.pytorch.utilities.exceptions import MisconfigurationException, SIGTERMException

from .checkpoint import WORDS, check_checkpoint, last_checkpoint, loading_error
from .io.errors import UserError, at_least
from .io.folders import make_folder
from .io.shipped import located
from .io.trust import VARIABLE, only_weights, restrict_classes
from .sentences import sentence as sentence
from .sentences import user_error as user_error

CHATTER = ("\N{ELECTRIC LIGHT BULB} Tip", "GPU available", "TPU available")
"""The beginnings of Lightning's messages that are of no use to the user of this command."""
READ_YAML = get_loader("yaml")
"""That of jsonargparse."""
RETIRED = ("zero_mean_stem",)
"""Options of the modules in earlier versions. Checkpoints of those versions have them, and still load."""


class _Parser(LightningArgumentParser):
    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        if "import_path_allowlist" in message:
            message += f"\nTo use classes of a package of your own, name it in the environment variable {VARIABLE}."
        super().error(message, ex)


class _CLI(LightningCLI):
    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        parser.add_argument(
            "--output",
            type=str | None,
            help="folder for everything that is written: results (--model.output), checkpoints, logs, config.yaml",
        )

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        super().parse_arguments(parser, args)
        subcommand = self.config["subcommand"]
        config, training = self.config[subcommand], subcommand == "fit"
        at_least(0, seed_everything=config.get("seed_everything"))
        if config.get("ckpt_path") == "last":  # Lightning would look for it too late, and score without it
            config.ckpt_path = last_checkpoint(_checkpoint_folders(config), needed=not training) or "last"
        if config.get("ckpt_path") and str(config.ckpt_path).partition(":")[0] not in WORDS:
            check_checkpoint(Path(config.ckpt_path), config.model and config.model.class_path, training)

    def before_instantiate_classes(self) -> None:
        config = self.config[self.subcommand] if self.subcommand else self.config
        for name in RETIRED:
            config.model.get("dict_kwargs", {}).pop(name, None)
        output = config.get("output")
        if output is None:
            return
        make_folder(output)
        if "output" in config.model.init_args:
            config.model.init_args.output = output
        if config.trainer.default_root_dir is None:
            config.trainer.default_root_dir = output
        for logger in _listed(config.trainer.logger):
            if "save_dir" in getattr(logger, "init_args", ()):
                logger.init_args.save_dir = output
        for callback in _savers(config):
            # outside the logger's numbered folder, so that a run that goes on finds the best checkpoint so far
            if callback.init_args.get("dirpath") is None:
                callback.init_args.dirpath = str(Path(output) / "checkpoints")

    def instantiate_trainer(self, **options: Any) -> Trainer:
        try:
            return super().instantiate_trainer(**options)
        except (MisconfigurationException, ImportError, TypeError, ValueError) as reason:  # Lightning raises all these
            raise UserError(f"the trainer refuses its options ({reason}): change those of --trainer") from reason

    def _run_subcommand(self, subcommand: str) -> None:
        try:
            super()._run_subcommand(subcommand)
        except SIGTERMException as reason:  # a SystemExit without a status, which would be success
            if subcommand != "fit":
                raise
            way_out = "the same command with --ckpt_path last goes on from its last checkpoint"
            raise UserError(f"SIGTERM has ended the training: {way_out}") from reason
        except MisconfigurationException as reason:
            raise UserError(f"Lightning refuses this run: {reason}") from reason
        except (RuntimeError, ValueError) as reason:
            if (mistake := loading_error(reason, self.config[subcommand].get("ckpt_path"))) is None:
                raise
            raise mistake from reason


class _OnlyParse(_CLI):
    def instantiate_classes(self) -> None:
        pass

    def _run_subcommand(self, subcommand: str) -> None:
        pass


def _listed(entries: Any) -> list[Any]:
    """The loggers or callbacks of a configuration, which can also be none or a single one."""
    return [entry for entry in (entries if isinstance(entries, list) else [entries]) if hasattr(entry, "class_path")]


def _savers(config: Any) -> list[Any]:
    return [entry for entry in _listed(config.trainer.callbacks) if entry.class_path.endswith(".ModelCheckpoint")]


def _checkpoint_folders(config: Any) -> list[Path]:
    """Where the configuration keeps checkpoints; where they are not said, they are in ``--output``."""
    default = str(Path(config.output) / "checkpoints") if config.get("output") else None
    found = [saver.init_args.get("dirpath") or default for saver in _savers(config)]
    return [Path(folder) for folder in found if folder]


def run(args: Sequence[str] | None = None) -> LightningCLI:
    """Parse ``args`` (default: the process's), build trainer, module and data, run the subcommand.

    Raises:
        UserError: a mistake in what the user gave.
        SystemExit: the parser refused the arguments, or ``--help``.
    """
    return _parsed(_CLI, args)


def parse(args: Sequence[str]) -> dict[str, Any]:
    """The configuration that :func:`run` would use, as plain values. Nothing is built and nothing is run.

    Raises:
        UserError: a mistake in what the user gave.
        SystemExit: the parser refused the arguments.
    """
    config = _parsed(_OnlyParse, args).config
    values: dict[str, Any] = config[config["subcommand"]].as_dict()
    return values


def _parsed(kind: type[_CLI], args: Sequence[str] | None) -> _CLI:
    _quieten()
    restrict_classes()
    set_loader("yaml", _value, (yaml.YAMLError,))
    try:
        with only_weights():
            return kind(
                LightningModule,
                LightningDataModule,
                parser_class=_Parser,
                subclass_mode_model=True,
                subclass_mode_data=True,
                save_config_kwargs={"overwrite": True},
                args=_located(sys.argv[1:] if args is None else args),
            )
    except UnicodeDecodeError as reason:
        raise UserError(f"--config is not a text in UTF-8 ({reason}): give a YAML file") from reason


def _value(text: str) -> Any:
    """Of a text in YAML. What jsonargparse passes on to an option within an option is ``None`` where it was null."""
    return None if text == "None" else READ_YAML(text)


def _located(args: Sequence[str]) -> list[str]:
    """The arguments, each configuration that ships with its path in place of its name."""
    found = [f"--config={located(a.removeprefix('--config='))}" if a.startswith("--config=") else a for a in args]
    for k, option in enumerate(found[:-1]):
        if option in ("-c", "--config"):
            found[k + 1] = located(found[k + 1])
    return found


def _quieten() -> None:
    """Hide messages of libraries about themselves, so that the user sees the others."""
    warnings.filterwarnings("ignore", message="LightningCLI's args parameter")  # it is used on purpose
    warnings.filterwarnings("ignore", message=".*LeafSpec.* is deprecated")  # within Lightning
    logging.getLogger("lightning.pytorch.utilities.rank_zero").addFilter(_concerns_the_user)


def _concerns_the_user(record: logging.LogRecord) -> bool:
    return not record.getMessage().startswith(CHATTER)


def main(args: Sequence[str] | None = None) -> int:
    """Entry point of the command; returns the exit status."""
    return sentence(run, args)


if __name__ == "__main__":
    sys.exit(main())
