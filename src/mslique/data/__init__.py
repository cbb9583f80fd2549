"""Training data: photographs with people's scores, and photographs degraded on the fly."""
