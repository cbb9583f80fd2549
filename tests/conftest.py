import os

os.environ["HF_HUB_OFFLINE"] = "1"  # no test may reach for the network

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # hostile.py
