"""Small edits, each of which must make a test fail: what the tests of a clause are worth.

The edits stand in the TOML files here, by area. `run` carries them out (`make mutants`), and
`run --check` sees within a second that each still applies.
"""
