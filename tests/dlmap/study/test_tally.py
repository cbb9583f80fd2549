from dlmap.study import Answer
from dlmap.study.tally import Tally

ANSWERS = [
    Answer("ann", "practice", "1.png", "a", "b", "left"),
    Answer("ann", "pair", "1.png", "a", "b", "left"),
    Answer("ann", "pair", "2.png", "b", "a", "right"),
    Answer("bob", "pair", "2.png", "c", "a", "left"),
    Answer("bob", "catch", "2.png", "@original", "@degraded", "left"),
]


def test_pairs_are_counted_in_every_unit() -> None:
    tally = Tally.of(ANSWERS, ["b", "d"])
    assert tally.contestants == ("b", "d", "a", "c") and tally.observers == ("ann", "bob")
    shown, chosen = tally.counts(tally.observer).reshape(2, 2, 4, 4)
    b, a, c = 0, 2, 3
    assert shown.sum() == 3 and chosen.sum() == 2
    assert (shown[0, a, b], chosen[0, a, b]) == (1, 1)
    assert (shown[0, b, a], chosen[0, b, a]) == (1, 0)
    assert (shown[1, c, a], chosen[1, c, a]) == (1, 1)
    assert [tally.contestants[k] for k in tally.winner] == ["a", "a", "c"]


def test_what_is_left_out_is_forgotten() -> None:
    tally = Tally.of(ANSWERS)
    rest = tally.only(tally.observer == 1)
    assert rest.observers == ("bob",) and rest.photos == ("2.png",) and rest.contestants == ("a", "b", "c")
    assert rest.observer.tolist() == rest.photo.tolist() == [0] and rest.total().sum() == 2
