from mslique.vocabulary import quality_prompts


def test_prompts_are_the_papers_from_worst_to_best() -> None:
    assert quality_prompts() == [
        "a photo with bad quality",
        "a photo with poor quality",
        "a photo with fair quality",
        "a photo with good quality",
        "a photo with perfect quality",
    ]
