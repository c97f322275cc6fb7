"""Our tokens are sent to the channel's hosts alone."""

import pytest

from adapters.service_hosts import ServiceHosts
from agent.ports import ChannelRefused

CANARY = frozenset({"canary.botapi.skype.com"})


@pytest.mark.parametrize(
    "url",
    [
        "https://smba.trafficmanager.net/teams/",
        "https://smba.trafficmanager.net/amer/11111111-1111-4111-8111-111111111111/",
        "https://SMBA.trafficmanager.net:443/emea/",
        "https://smba.infra.gcc.teams.microsoft.com/teams",
        "https://smba.infra.gov.teams.microsoft.us/teams",
        "https://smba.infra.dod.teams.microsoft.us/teams",
        "https://webchat.botframework.com/",
    ],
)
def test_the_clouds_own_hosts_are_allowed(url: str) -> None:
    assert ServiceHosts().checked(url).scheme == "https"


HOSTILE = [
    "http://smba.trafficmanager.net/teams/",
    "https://smba.trafficmanager.net:8443/teams/",
    "https://user@smba.trafficmanager.net/teams/",
    "https://user:secret@smba.trafficmanager.net/",
    "https://smba.trafficmanager.net@evil.example/teams/",
    "https://smba.trafficmanager.net:443@evil.example/",
    "https://smba.trafficmanager.net.evil.example/",
    "https://evil.example/smba.trafficmanager.net/",
    "https://evil.example#smba.trafficmanager.net",
    "https://evil.example?smba.trafficmanager.net",
    "https://evil.example\\@smba.trafficmanager.net/",
    "https://smba.trafficmanager.net\\.evil.example/",
    "https://smba\u3002trafficmanager.net.evil.example/",
    "https://xn--smba-9oa.trafficmanager.net/",
    "https://sm\u0432a.trafficmanager.net/",
    "https://canary.botapi.skype.com/teams/",
    "https://10.0.0.1/",
    "https://169.254.169.254/metadata",
    "https://[::ffff:169.254.169.254]/",
    "https://[::1]/",
    "http://127.0.0.1:7071/",
    "http://localhost:7071/",
    "//smba.trafficmanager.net/",
    "smba.trafficmanager.net",
    "ftp://smba.trafficmanager.net/",
    "https:///teams/",
    "https://[::1",
    "https://smba.trafficmanager.net:99999/",
    "",
]


@pytest.mark.parametrize("url", HOSTILE)
def test_a_hostile_service_url_is_refused(url: str) -> None:
    with pytest.raises(ChannelRefused):
        ServiceHosts().checked(url)


@pytest.mark.parametrize("url", HOSTILE)
def test_what_is_allowed_besides_opens_no_other_door(url: str) -> None:
    """No hostile URL leads to a host that is not named, whatever else is allowed."""
    try:
        checked = ServiceHosts(also=CANARY, with_loopback=True).checked(url)
    except ChannelRefused:
        return
    assert checked.host in {"canary.botapi.skype.com", "127.0.0.1", "localhost", "::1"}


def test_other_hosts_are_allowed_by_setting() -> None:
    assert ServiceHosts(also=CANARY).checked("https://canary.botapi.skype.com/teams/v3/conversations")


def test_loopback_is_allowed_in_development_only() -> None:
    url = "http://localhost:56150/_connector/v3/conversations"
    assert ServiceHosts(with_loopback=True).checked(url).port == 56150
    with pytest.raises(ChannelRefused):
        ServiceHosts().checked(url)
