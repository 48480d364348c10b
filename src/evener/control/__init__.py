"""The supervisor: it owns what must outlive a worker, and starts, feeds and replaces workers.

Rules kept here:
- PROCESS.md is the contract; each of its rows has one place in this folder.
- Traffic never depends on this process being awake: nothing here is asked per request.
- What a background task raises ends the supervisor; nothing is only logged and forgotten.
Not known here: HTTP, the commands' words and how a plan is obeyed.
"""
