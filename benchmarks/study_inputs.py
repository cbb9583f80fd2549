"""What docs/comparing.md begins with, made without a network: photographs, and weights for a metric of pyiqa.

    python benchmarks/study_inputs.py FOLDER

FOLDER/photos receives six photographs of scikit-image, 256x256; FOLDER/cnniqa.pth a CNNIQA trained for seconds on
crops of them, degraded at random and labelled by their distance to the original. A weak model, but one more.
"""

import argparse
import sys
from pathlib import Path

import skimage.data
import torch
from PIL import Image
from pyiqa.archs.cnniqa_arch import CNNIQA

from dlmap.calibrate import degraded
from dlmap.run.pictures import save_picture

SIZE, PATCH, BATCH = 256, 64, 32
# left, top, side of the square that is shrunk to SIZE
PHOTOS = {
    "astronaut": (0, 0, 512),
    "camera": (120, 40, 320),
    "chelsea": (70, 0, 300),
    "coffee": (120, 40, 320),
    "motorcycle": (180, 100, 320),
    "rocket": (180, 60, 320),
}


def main(folder: Path) -> int:
    for name, (left, top, side) in PHOTOS.items():
        pixels = skimage.data.stereo_motorcycle()[0] if name == "motorcycle" else getattr(skimage.data, name)()
        square = Image.fromarray(pixels).crop((left, top, left + side, top + side))
        save_picture(square.resize((SIZE, SIZE), Image.Resampling.LANCZOS), folder / "photos" / f"{name}.png")
    save_weights(folder / "photos", folder / "cnniqa.pth")
    return 0


def save_weights(photos: Path, path: Path, samples: int = 120, steps: int = 100) -> None:
    """Train a CNNIQA on patches of degraded crops of the photographs; always the same."""
    torch.manual_seed(0)
    crops = list(degraded(photos, samples))
    patches = [crop.image.unfold(1, PATCH, PATCH).unfold(2, PATCH, PATCH).flatten(1, 2).movedim(1, 0) for crop in crops]
    images = torch.cat(patches)
    labels = torch.tensor([crop.label / 100 for crop in crops]).repeat_interleave(len(patches[0]))
    network = CNNIQA(pretrained=None)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    for _ in range(steps):
        batch = torch.randint(len(images), (BATCH,))
        loss = (network(images[batch]).flatten() - labels[batch]).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    torch.save({"params": network.state_dict()}, path)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    sys.exit(main(parser.parse_args().folder))
