"""How is a language model made, judged and used?

Before torch is loaded, its threads are told to wait asleep. OpenMP's threads spin for each other,
and beside other work a spinning thread takes the processor from the thread that it waits for:
training then takes several times its quiet time (benchmarks/results/busy.md).
"""

import os

# libgomp reads this once, when torch loads it; a value that somebody set before stays
os.environ.setdefault("GOMP_SPINCOUNT", "10000")
