import sys
from pathlib import Path

TESTS = Path(__file__).parents[1]
sys.path[:0] = [str(TESTS.parent / "benchmarks"), str(TESTS / "dlmap")]  # the scripts, and toys.py
