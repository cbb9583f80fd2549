"""Degradations of photographs, by theme."""
