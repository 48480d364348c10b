"""Large requests have servers of their own, so that small ones never wait behind them."""

from collections.abc import Sequence

from evener.policies import Policy, Request, Server


def load(server: Server) -> float:
    """What a server has in hand, for its weight."""
    return server.in_flight / server.weight


class LargeApart(Policy):
    headers = ("x-size",)

    def pick(self, servers: Sequence[Server], request: Request) -> Server:
        large = request.headers.get("x-size") == "large"
        fitting = [server for server in servers if (server.weight >= 3) == large]
        return min(fitting or servers, key=load)
