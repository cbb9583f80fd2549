import copy
import pickle

import open_clip
import torch

from mslique.clip import TINY, build_clip

CONFIG = {
    "embed_dim": 16,
    "quick_gelu": True,
    "vision_cfg": {"layers": 3, "width": 32, "head_width": 8, "patch_size": 8, "image_size": 32},
    "text_cfg": {"context_length": 16, "vocab_size": 100, "width": 8, "heads": 2, "layers": 1},
}


def test_features_and_gradients_are_those_of_open_clip() -> None:
    torch.manual_seed(0)
    lean, plain = build_clip(CONFIG).eval(), open_clip.CLIP(**CONFIG).eval()
    plain.load_state_dict(lean.state_dict(), strict=True)
    found = []
    for clip in (lean, plain, copy.deepcopy(lean), pickle.loads(pickle.dumps(lean))):
        images = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(1)).requires_grad_()
        features = clip.encode_image(images)
        with torch.no_grad():  # torch has another implementation of attention here
            torch.testing.assert_close(clip.encode_image(images), features, rtol=0, atol=1e-5)
        found.append((features, *torch.autograd.grad(features.square().sum(), images)))
    for features, gradient in found[1:]:
        torch.testing.assert_close(features, found[0][0], rtol=0, atol=1e-5)
        torch.testing.assert_close(gradient, found[0][1], rtol=0, atol=1e-5)
    assert lean.visual.transformer.resblocks[-1](torch.rand(2, 5, 32)).shape == (2, 1, 32)


def test_a_resnet_is_left_alone() -> None:
    assert build_clip(TINY).visual(torch.rand(1, 3, 64, 64)).shape == (1, 64)
