import os

os.environ["HF_HUB_OFFLINE"] = "1"  # no test may reach for the network

import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # hostile.py

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # in the background of a shell script; some tests press Ctrl-C
    signal.signal(signal.SIGINT, signal.default_int_handler)
