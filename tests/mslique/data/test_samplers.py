import pytest

from mslique import UserError
from mslique.data.samplers import EverySampleOnce, FreshSamples


def test_processes_share_an_epoch_without_overlap() -> None:
    dataset = range(12)
    samplers = [FreshSamples(dataset, 3, rank) for rank in range(3)]
    for sampler in samplers:
        sampler.set_epoch(2)
    assert [i for sampler in samplers for i in sampler] == list(range(24, 36))  # neighbours stay together
    assert [len(list(sampler)) for sampler in samplers] == [len(s) for s in samplers] == [4, 4, 4]


def test_what_was_seen_before_a_restart_is_left_out() -> None:
    whole, rest = FreshSamples(range(12), 3, 1), FreshSamples(range(12), 3, 1, lambda: 2)
    assert list(rest) == list(whole)[2:] and len(rest) == len(whole)


def test_evaluation_shares_every_sample_once() -> None:
    dataset = range(7)
    samplers = [EverySampleOnce(dataset, 3, rank) for rank in range(3)]
    assert sorted(i for sampler in samplers for i in sampler) == list(range(7))
    assert [len(list(sampler)) for sampler in samplers] == [len(sampler) for sampler in samplers] == [3, 2, 2]


def test_fewer_samples_than_processes_are_refused() -> None:
    with pytest.raises(UserError, match="3 processes cannot share 2 images: give --trainer.devices 2"):
        EverySampleOnce(range(2), 3, 0)
