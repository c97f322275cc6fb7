"""Which hosts our tokens may be sent to, whatever a turn, a stored reference or a queue message says."""

from yarl import URL

from adapters.clouds import PUBLIC, Cloud
from agent.ports import ChannelRefused

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class ServiceHosts:
    """The allow-list of Bot Connector hosts: those of our cloud, ``also``, and loopback where it is let in.

    Other clouds' hosts are not in it: a token of one cloud is of no use in another, and not to be seen there.
    """

    def __init__(
        self, *, cloud: Cloud = PUBLIC, also: frozenset[str] = frozenset(), with_loopback: bool = False
    ) -> None:
        self._allowed = cloud.hosts | also
        self._with_loopback = with_loopback

    def checked(self, url: str) -> URL:
        """The URL as it will be requested: what is checked and what is called are one object.

        Raises ChannelRefused.
        """
        try:
            parsed = URL(url)
            is_plain = parsed.user is None and parsed.password is None and parsed.host is not None
            is_loopback = is_plain and parsed.host in LOOPBACK and parsed.scheme in ("http", "https")
            is_allowed = (
                is_plain and parsed.host in self._allowed and parsed.scheme == "https" and parsed.port == 443
            )
        except ValueError:
            raise ChannelRefused("the service URL is no URL") from None
        if is_allowed or (is_loopback and self._with_loopback):
            return parsed
        raise ChannelRefused("the service URL is not one of the channel's hosts; no token is sent there")

    def base_url(self, service_url: str) -> str:
        """The checked service URL, ready for a path to be put behind it. Raises ChannelRefused."""
        checked = self.checked(service_url)
        if checked.raw_query_string or checked.raw_fragment:
            raise ChannelRefused("the service URL has a query; no token is sent there")
        return f"{str(checked).rstrip('/')}/"
