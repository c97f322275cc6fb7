"""Our tokens are sent to the channel's hosts alone."""

import pytest

from adapters.clouds import CHINA, CLOUDS, DOD, GCC, GCC_HIGH, PUBLIC, Cloud
from adapters.service_hosts import ServiceHosts
from agent.ports import ChannelRefused

CANARY = frozenset({"canary.botapi.skype.com"})


@pytest.mark.parametrize(
    ("url", "clouds"),
    [
        ("https://smba.trafficmanager.net/teams/", [PUBLIC, GCC]),
        ("https://smba.trafficmanager.net/amer/11111111-1111-4111-8111-111111111111/", [PUBLIC, GCC]),
        ("https://SMBA.trafficmanager.net:443/emea/", [PUBLIC, GCC]),
        ("https://smba.infra.gcc.teams.microsoft.com/teams", [PUBLIC, GCC]),
        ("https://webchat.botframework.com/", [PUBLIC, GCC]),
        ("https://smba.infra.gov.teams.microsoft.us/teams", [GCC_HIGH]),
        ("https://smba.infra.dod.teams.microsoft.us/teams", [DOD]),
    ],
)
def test_a_host_is_allowed_to_the_clouds_that_it_serves_and_to_no_other(
    url: str, clouds: list[Cloud]
) -> None:
    for cloud in CLOUDS.values():
        if cloud in clouds:
            assert ServiceHosts(cloud=cloud).checked(url).scheme == "https"
        else:
            with pytest.raises(ChannelRefused):
                ServiceHosts(cloud=cloud).checked(url)


@pytest.mark.parametrize("cloud", CLOUDS.values(), ids=CLOUDS)
def test_where_a_cloud_begins_and_where_it_turns_to_is_allowed_to_it(cloud: Cloud) -> None:
    hosts = ServiceHosts(cloud=cloud)
    for url in (cloud.service_url, *cloud.other_service_urls.values()):
        if cloud is not CHINA:
            assert hosts.checked(url)
    assert set(cloud.other_service_urls) <= cloud.hosts


def test_public_and_gcc_turn_to_each_other() -> None:
    other = "https://smba.infra.gcc.teams.microsoft.com/teams/"
    assert PUBLIC.other_service_urls == GCC.other_service_urls
    assert PUBLIC.other_service_urls["smba.trafficmanager.net"] == other == GCC.service_url
    assert GCC.other_service_urls["smba.infra.gcc.teams.microsoft.com"] == PUBLIC.service_url
    assert not any(cloud.other_service_urls for cloud in (GCC_HIGH, DOD, CHINA))


HOSTILE = [
    "http://smba.trafficmanager.net/teams/",
    "https://smba.trafficmanager.net:8443/teams/",
    "https://user@smba.trafficmanager.net/teams/",
    "https://user:secret@smba.trafficmanager.net/",
    "https://:secret@smba.trafficmanager.net/",
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
    "https://smba.trafficmanager.net./teams/",
    "https://smba.trafficmanager.net%2eevil.example/",
    "https://smba.trafficmanager.net%00.evil.example/",
    "https://evil.example/?https://smba.trafficmanager.net/teams/",
    "https://xn--smb-6cd.trafficmanager.net/",
    "https://2130706433/",
    "https://0x7f000001/",
    "https://[::ffff:7f00:1]/",
    "https://[fe80::1%25eth0]/",
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


@pytest.mark.parametrize("cloud", CLOUDS.values(), ids=CLOUDS)
@pytest.mark.parametrize("url", HOSTILE)
def test_a_hostile_service_url_is_refused_in_each_cloud(url: str, cloud: Cloud) -> None:
    with pytest.raises(ChannelRefused):
        ServiceHosts(cloud=cloud).checked(url)


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


@pytest.mark.parametrize("end", ["?x=1", "#x"])
def test_a_service_url_behind_which_a_path_would_be_no_path_is_refused(end: str) -> None:
    url = "https://smba.trafficmanager.net/teams/"
    hosts = ServiceHosts()
    assert hosts.base_url(url) == hosts.base_url(url.rstrip("/")) == url
    with pytest.raises(ChannelRefused):
        hosts.base_url(url + end)
