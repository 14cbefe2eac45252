"""OpenMP threads of torch: those that wait for each other sleep, after looking for work for some microseconds.

Every process that loads torch imports the package `chat` first, and with it this module. By default libgomp's threads
spin, and with a busy neighbour on the machine one that is preempted stalls the others: an answer of eight tokens then
takes 0.1 s or 8 s. Where they sleep at once, one takes three times as long on a machine whose idle cores wake up slowly
(a virtual one); this many rounds are a bound on both (docs/results.md, Stalls). What the environment says goes before.
"""

import os

SLEEPING = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "2000"}
"""What libgomp reads once, when torch is loaded."""

for name, value in SLEEPING.items():
    os.environ.setdefault(name, value)
