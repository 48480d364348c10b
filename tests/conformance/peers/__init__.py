"""Plays seeded schedules to the installed nginx and HAProxy and to Evener, and compares the picks.

    python -m tests.conformance.peers [--engine] [PICKS] [SEED,SEED…] [WORDS OF A CASE]

Without words: 1,000 picks of every case with five seeds. Requests are held open and released;
servers are full, taken out and brought back, re-weighed (by HAProxy's own socket; nginx has no such
word), and fail until they are let back by a request (nginx's max_fails and fail_timeout). Each pick
is compared with that of the schedulers alone, or with `--engine` with that of a running Evener,
which is re-weighed by reloads; the first that differs ends its play and is shown with what came
before it. The recordings beside this hold no requests that are open at the same time.
"""
