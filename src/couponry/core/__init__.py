"""The deciding part: plain data in, plain data out. No I/O, no clock, no randomness, so every decision can be replayed."""
