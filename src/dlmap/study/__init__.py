"""Comparing quality models, or enhancers, by the images that they make: stimuli, scores, forced choice, ranking."""
