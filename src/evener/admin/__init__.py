"""The HTTP API that commands, dashboards and scrapers talk to.

Rules kept here:
- No GET changes anything; what changes something is POST or PUT.
- On the admin socket the kernel says who asks: our own user, root, and one group.
- Imported only once a worker serves: starting must not wait for it.
Not known here: how anything is done; the supervisor does it.
"""
