"""The command ``lightning``: ``fit | validate | test | predict`` for both packages, from one YAML file.

LightningCLI in subclass mode: the YAML names the module and the data module, and every option of theirs can be
overridden on the command line (``--data.folder X``, ``--model.ascent.iterations 5``, ``--trainer.devices 4``).
:mod:`mslique.io.trust` limits what a YAML can name.
"""

import errno
import logging
import re
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from lightning import LightningDataModule, LightningModule
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI

from .io.errors import UserError
from .io.shipped import located
from .io.trust import VARIABLE, only_weights, read_weights, restrict_classes

CHATTER = ("\N{ELECTRIC LIGHT BULB} Tip", "GPU available", "TPU available")
"""The beginnings of Lightning's messages that are of no use to the user of this command."""
RETIRED = ("zero_mean_stem",)
"""Options of the modules in earlier versions. Checkpoints of those versions have them, and still load."""
DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)


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
        checkpoint = self.config[self.config["subcommand"]].get("ckpt_path")
        if checkpoint is not None and Path(checkpoint).suffix:  # else one of Lightning's words: best, last, ...
            read_weights(Path(checkpoint))  # its error is a sentence for the user

    def before_instantiate_classes(self) -> None:
        config = self.config[self.subcommand] if self.subcommand else self.config
        for name in RETIRED:
            config.model.get("dict_kwargs", {}).pop(name, None)
        output = config.get("output")
        if output is None:
            return
        if "output" in config.model.init_args:
            config.model.init_args.output = output
        if config.trainer.default_root_dir is None:
            config.trainer.default_root_dir = output
        for logger in _listed(config.trainer.logger):
            if "save_dir" in getattr(logger, "init_args", ()):
                logger.init_args.save_dir = output
        for callback in _listed(config.trainer.callbacks):
            # outside the logger's numbered folder, so that a run that goes on finds the best checkpoint so far
            if callback.class_path.endswith(".ModelCheckpoint") and callback.init_args.get("dirpath") is None:
                callback.init_args.dirpath = str(Path(output) / "checkpoints")


class _OnlyParse(_CLI):
    def instantiate_classes(self) -> None:
        pass

    def _run_subcommand(self, subcommand: str) -> None:
        pass


def _listed(entries: Any) -> list[Any]:
    """The loggers or callbacks of a configuration, which can also be none or a single one."""
    return [entry for entry in (entries if isinstance(entries, list) else [entries]) if hasattr(entry, "class_path")]


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


def sentence(function: Callable[..., Any], *args: Any) -> int:
    """Call ``function``; returns the exit status: 0, or 1 after a UserError or a full disk, shown as one sentence."""
    try:
        function(*args)
    except OSError as error:
        if error.errno not in DISK:
            raise
        place = error.filename or "a file"
        sys.stderr.write(f"error: {place} cannot be written ({error.strerror}): free space, or give another --output\n")
        return 1
    except ValueError as error:
        mistake = user_error(error)
        if mistake is None:
            raise
        sys.stderr.write(f"error: {_message(mistake)}\n")
        return 1
    return 0


def user_error(error: BaseException | None) -> UserError | None:
    """The UserError itself, or the one from which jsonargparse raised its own error about an argument."""
    while error is not None and not isinstance(error, UserError):
        error = error.__cause__
    return error


def _message(mistake: UserError) -> str:
    """The message alone, where a data loader's worker has wrapped it in its own traceback."""
    text = str(mistake)
    if text.startswith("Caught UserError in DataLoader worker"):
        return re.split(r"^(?:[\w.]+\.)?UserError: ", text, flags=re.MULTILINE)[-1].strip()
    return text


def main(args: Sequence[str] | None = None) -> int:
    """Entry point of the command; returns the exit status."""
    return sentence(run, args)


if __name__ == "__main__":
    sys.exit(main())
