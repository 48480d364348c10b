"""The whole balancer: a configuration built in Python, served until Ctrl-C."""

from evener import Config, run

servers = [f"127.0.0.1:{port}" for port in (8001, 8002, 8003)]
run(Config.quick(":8080", servers))
