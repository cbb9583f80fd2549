import numpy as np
import pytest

from dlmap.pretrain.procedural import dead_leaves, one_over_f


@pytest.mark.parametrize("make", [dead_leaves, one_over_f])
def test_images_repeat_with_the_seed_and_differ_without(make) -> None:  # type: ignore[no-untyped-def]
    first, again, other = (make(64, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert first.shape == (64, 64, 3) and first.dtype == np.uint8
    assert (first == again).all() and (first != other).any()


def test_textures_have_the_spectrum_of_photographs() -> None:
    """Amplitude over frequency f falls as f^-s, s drawn from 0.9 to 1.4."""
    for seed in range(4):
        grey = one_over_f(128, np.random.default_rng(seed)).mean(axis=2)
        spectrum = np.abs(np.fft.rfft2(grey - grey.mean()))
        frequency = np.hypot(np.fft.fftfreq(128)[:, None], np.fft.rfftfreq(128)[None])
        band = (frequency > 0.03) & (frequency < 0.3)
        slope = np.polyfit(np.log(frequency[band]), np.log(spectrum[band] + 1e-9), 1)[0]
        assert -1.6 < slope < -0.75
