"""Comparing quality models, or enhancers, by the images that they make: stimuli, scores, forced choice, ranking."""

from .answers import Answer, read_answers, write_answers
from .definition import Study
from .design import Trial, session

__all__ = ["Answer", "Study", "Trial", "read_answers", "session", "write_answers"]
