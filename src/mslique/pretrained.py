"""A model in a folder or on the hub, as huggingface_hub's mixin shares it, with errors that say what is wrong."""

from pathlib import Path
from typing import Any, Self, cast

from huggingface_hub import PyTorchModelHubMixin
from torch import nn

from .io.errors import UserError, in_short
from .io.folders import filled
from .io.hub import HUB_OPTIONS, model_source, weights_file
from .io.trust import check_finite


class SharedModel(nn.Module, PyTorchModelHubMixin):
    """What a model has of sharing: ``from_pretrained``, ``save_pretrained``, ``push_to_hub``.

    ``needed``: an argument that every config.json of this kind of model has. ``way_out``: for errors.
    """

    needed: str
    way_out: str

    def keep(self, **found: Any) -> None:
        """Arguments for config.json in place of those given, so that a copy needs no folder of this machine."""
        self._hub_mixin_config = {**cast(dict[str, Any], self._hub_mixin_config), **found}

    def save_pretrained(self, save_directory: str | Path, **options: Any) -> Any:
        """As huggingface_hub's mixin; the files in the folder are replaced when all new ones are complete.

        Raises:
            UserError: the folder cannot be written; it stays as it was.
        """
        folder = Path(save_directory)
        with filled(folder) as part:
            url = super().save_pretrained(part, **{"repo_id": folder.name, **options})
            if (folder / "README.md").exists():  # the mixin writes a card only where there is none
                (part / "README.md").unlink(missing_ok=True)
        return url

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | Path, **options: Any) -> Self:
        """The model, in eval mode, of a folder or hub id with config.json and model.safetensors.

        Args:
            pretrained_model_name_or_path: the folder, one that ships (``data/mslique-tiny``), or the hub id.
            options: of huggingface_hub's mixin, such as ``revision`` and ``map_location``.

        Raises:
            UserError: neither exists or can be reached, or it holds something else, or weights that are not finite.
        """
        weights_file(source := model_source(pretrained_model_name_or_path), options)  # a clearer error than the mixin's
        try:
            return super().from_pretrained(source, **options)
        except UserError:
            raise
        except Exception as reason:  # a config.json may hold anything
            raise UserError(
                f"{pretrained_model_name_or_path} cannot be read as {cls.__name__} ({type(reason).__name__}:"
                f" {reason}): {cls.way_out}"
            ) from reason

    @classmethod
    def _from_pretrained(cls, *, model_id: str, map_location: str = "cpu", strict: bool = True, **options: Any) -> Self:
        file = weights_file(model_id, options)
        options = {name: value for name, value in options.items() if name not in HUB_OPTIONS}
        if cls.needed not in options:
            raise UserError(
                f"the config.json of {model_id} is not that of {cls.__name__}, it names no {cls.needed}: {cls.way_out}"
            )
        model = cls(**options)
        try:
            model = cls._load_as_safetensor(model, file, map_location, strict)
        except RuntimeError as reason:
            raise UserError(
                f"{model_id}: config.json and model.safetensors do not match ({in_short(reason)})"
            ) from reason
        check_finite(model.state_dict(), file)
        return model
