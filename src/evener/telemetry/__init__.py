"""Counter totals → the numbers people read: rates, quantiles, processes.

Rules kept here:
- Pure, except `processes`: totals and `now` come in, numbers go out.
- A number that cannot be known yet is None, never 0.
Not known here: where totals come from, and who is shown the numbers.
"""
