"""The critic of gains: its statistics, its value, its part in the ascent."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml
from torch import Tensor, nn
from toys import prior, save_quality

from dlmap import MSE, Ascent, GainCritic, MAPObjective, enhance, load_config
from dlmap.cli import main
from dlmap.critic import probe_score
from dlmap.domain import Bands
from dlmap.domain.bands import FAINT
from mslique import MSLIQE, UserError

LEVELS = (0.05,)
SEED = 2
BANDS = Ascent(domain="bands", levels=LEVELS, radius=4.0, target=1e9, iterations=20)


class Same(nn.Module):
    """A quality that is the same for all images."""

    def forward(self, images: Tensor) -> Tensor:
        return torch.full((len(images),), 40.0) + 0 * images.sum((1, 2, 3))


class Brightness(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        return 100 * images.mean((1, 2, 3))


def images(count: int = 2) -> Tensor:
    return 0.5 + 0.003 * torch.randn(count, 3, 32, 32, generator=torch.Generator().manual_seed(3))


def statistics(given: Tensor, levels: tuple[float, ...] = LEVELS, unsharp: float = 0.0) -> Tensor:
    domain = Bands(prior(), levels, (-1.0, 1.5), unsharp)
    domain.start(given)
    return domain.statistics()


def saved(folder: Path) -> GainCritic:
    torch.manual_seed(SEED)
    critic = GainCritic(LEVELS, 0.0, bands=1, statistics=16, width=16).eval()
    critic.save_pretrained(folder)
    return critic


def test_statistics_of_white_noise_are_its_deviation_and_those_of_a_filtered_one_its_correlation() -> None:
    domain = Bands(prior(), LEVELS, (-1.0, 1.5), 0.0)
    domain.start(images(1))
    noise = torch.randn(1, 3, 257, 256, generator=torch.Generator().manual_seed(0)) * 5 / 255
    domain.given = torch.full_like(noise, 0.25)
    domain.bands = [noise]
    found = domain.statistics()[0]
    expected = torch.tensor([5.0, 5.0 * 0.7979, 5.0 * 0.6745])  # a half-normal distribution's mean and median
    torch.testing.assert_close(found[:6].exp(), torch.cat([expected, expected / 3**0.5]), rtol=0.01, atol=0)
    assert found[11] == 0.25 and found[-4:].abs().max() < 0.01
    domain.bands = [(noise[:, :, 1:] + noise[:, :, :-1]) / 2]  # pixels one above the other share half of their noise
    domain.given = domain.given[:, :, 1:]
    torch.testing.assert_close(domain.statistics()[0, -4:], torch.tensor([0.0, 0.5, 0.0, 0.0]), rtol=0, atol=0.01)


@pytest.mark.parametrize("size", [(32, 32), (1, 1), (2, 40)])
def test_statistics_are_finite_without_detail(size: tuple[int, int]) -> None:
    found = statistics(torch.full((1, 3, *size), 0.5))
    assert found.shape == (1, 16) and found.isfinite().all()


def test_statistics_do_not_depend_on_the_batch() -> None:
    given = 0.5 + 20 * (images() - 0.5)  # bands are differences: of a faint picture they are mostly rounding
    both = statistics(given, (0.1, 0.3), 1.5)
    torch.testing.assert_close(both[1:], statistics(given[1:], (0.1, 0.3), 1.5), rtol=1e-5, atol=1e-5)


def test_no_move_changes_nothing_and_an_image_does_not_depend_on_the_others(tmp_path: Path) -> None:
    critic = saved(tmp_path / "critic")
    known, quality, states = torch.randn(3, 4, 16), torch.rand(3, 4) * 100, torch.randn(3, 4, 1)
    assert torch.equal(critic(known, quality, 0 * states), torch.zeros(3, 4))
    changes = critic(known, quality, states)
    assert changes.std() > 0
    torch.testing.assert_close(critic(known[1, 2], quality[1, 2], states[1, 2]), changes[1, 2])
    again = GainCritic.from_pretrained(tmp_path / "critic")
    assert (again.levels, again.unsharp) == (LEVELS, 0.0) and torch.equal(again(known, quality, states), changes)


def test_the_ascent_climbs_what_the_critic_predicts(tmp_path: Path) -> None:
    """Nothing else changes: so the gain of the result is the best that a search over all gains of the band finds."""
    critic, given = saved(tmp_path / "critic"), images()
    objective = MAPObjective(Same(), MSE(), fidelity_weight=0.0, critic=str(tmp_path / "critic"))
    domain = Bands(prior(), LEVELS, BANDS.gains)
    domain.start(given)
    for k, result in enumerate(enhance(given, prior(), objective, BANDS)):
        assert result.objective[0] == result.quality[0] == 40.0
        moved, band = result.image - given[k], domain.bands[0][k]
        gain = (moved * band).sum() / band.square().sum()
        torch.testing.assert_close(moved, gain * band, rtol=0, atol=1e-5)
        possible = torch.linspace(-domain.sizes[k].item(), FAINT - domain.sizes[k].item(), 1001)
        with torch.no_grad():
            predicted = critic(domain.statistics()[k], torch.tensor(40.0), gain * domain.sizes[k]).item()
            best = critic(domain.statistics()[k].expand(1001, -1), torch.full((1001,), 40.0), possible[:, None]).max()
        assert max(result.objective) - 40.0 == pytest.approx(predicted, rel=1e-3)
        assert predicted == pytest.approx(best.item(), rel=1e-3) and predicted > 0
    alone = enhance(given[1:], prior(), objective, BANDS)[0]
    torch.testing.assert_close(alone.image, result.image, rtol=0, atol=1e-5)
    assert all(weight.grad is None for weight in objective.parameters())


def test_other_bands_than_those_of_its_training_are_refused(tmp_path: Path) -> None:
    saved(tmp_path / "critic")
    objective = MAPObjective(Same(), MSE(), critic=str(tmp_path / "critic"))
    for ascent in (replace(BANDS, levels=(0.2,)), replace(BANDS, unsharp=1.5)):
        with pytest.raises(UserError, match="take these, or leave the critic out"):
            enhance(images(), prior(), objective, ascent)


def test_another_quality_model_than_that_of_its_training_is_refused(tmp_path: Path) -> None:
    GainCritic(LEVELS, 0.0, bands=1, statistics=16, score=probe_score(Brightness())).save_pretrained(tmp_path)
    assert MAPObjective(Brightness(), MSE(), critic=str(tmp_path)).critic is not None
    with pytest.raises(UserError, match="another quality model than objective.quality"):
        MAPObjective(Same(), MSE(), critic=str(tmp_path))


def test_it_can_be_left_out_on_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["enhance", "photos", "out", "--model.objective.critic", "null", "--print_config"])
    config = yaml.safe_load(capsys.readouterr().out)["model"]["init_args"]["objective"]["init_args"]
    assert MAPObjective(Same(), MSE(), critic=config["critic"]).critic is None


def test_other_domains_go_without_it(tmp_path: Path) -> None:
    saved(tmp_path / "critic")
    pixels = Ascent(domain="pixel", radius=1.0, iterations=2, target=1e9)
    objectives = [MAPObjective(Brightness(), MSE(), critic=critic) for critic in (str(tmp_path / "critic"), None)]
    with_critic, without = (enhance(images(), None, objective, pixels) for objective in objectives)
    assert [one.objective for one in with_critic] == [one.objective for one in without]


def test_a_folder_of_another_model_is_refused(tmp_path: Path) -> None:
    save_quality(str(tmp_path / "quality"))
    saved(tmp_path / "critic")
    with pytest.raises(UserError, match="not that of GainCritic, it names no unsharp: give data/critic-tiny"):
        MAPObjective(Same(), MSE(), critic=str(tmp_path / "quality"))
    with pytest.raises(UserError, match="not that of MSLIQE, it names no backbone"):
        MSLIQE.from_pretrained(tmp_path / "critic")


def test_the_one_that_ships_belongs_to_the_default() -> None:
    prior, objective, (ascent,) = load_config("configs/dlmap/tiny.yaml")
    assert objective.critic is not None
    objective.critic.check(ascent)
