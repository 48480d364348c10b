"""Instances that listen and do nothing else."""

import os
import socket
from pathlib import Path

from evener.control.instance import Identity, RunDirectory

Living = list[tuple[RunDirectory, socket.socket]]


def start(
    path: Path,
    config: str,
    living: Living,
    admin: str | None = None,
) -> RunDirectory:
    directory = RunDirectory.take(path)
    living.append((directory, directory.listen_admin(admin, None)))
    directory.write(Identity(config, "1", os.getpid(), 0, 0, str(directory.admin_socket)))
    return directory
