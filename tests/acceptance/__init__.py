"""The acceptance page, read and carried out: clauses, their proofs, what came of each.

`page` reads tests/ACCEPTANCE.md, `names` knows which tests exist, `runs` carries proofs out,
`verdicts` says what they mean for a clause. `tests/accept.py` is the command.
"""
