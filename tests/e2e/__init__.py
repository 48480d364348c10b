"""End to end: real processes, real programs as peers, one file per behaviour."""
