"""Callback URLs: signed for one job, one event and a while, and by nobody but us."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest

from adapters.in_memory import SteppedClock
from agent.callbacks import PURPOSE, REPORT_NAMES, Callbacks, CallbacksOff, ReportName

NEW, OLD, STRANGE = "n" * 32, "o" * 32, "s" * 32
JOB = "0f3a" * 8
HOUR = timedelta(hours=1)


def callbacks(*secrets: str, clock: SteppedClock | None = None, public_url: str | None = None) -> Callbacks:
    return Callbacks(
        secrets=secrets,
        public_url="https://app.example" if public_url is None else public_url,
        now=(clock or SteppedClock()).now,
    )


class Told:
    """What a caller tells by a URL."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.job_id, self.name = parts.path.split("/")[3], parts.path.split("/")[5]
        query = parse_qs(parts.query)
        (self.expires,), (self.signature,) = query["expires"], query["signature"]

    def holds(self, checked_by: Callbacks) -> bool:
        return checked_by.is_genuine(self.job_id, self.name, expires=self.expires, signature=self.signature)


def told(*secrets: str, name: ReportName = "completed") -> Told:
    return Told(callbacks(*(secrets or (NEW,))).url(JOB, name, expires_in=HOUR))


@pytest.mark.parametrize("name", REPORT_NAMES)
def test_a_url_that_we_signed_holds(name: ReportName) -> None:
    assert told(name=name).holds(callbacks(NEW))


def test_a_url_leads_to_its_job_and_event_and_says_when_it_expires() -> None:
    clock = SteppedClock()
    url = callbacks(NEW, clock=clock, public_url="https://app.example/behind/").url(
        JOB, "failed", expires_in=HOUR
    )
    assert url.startswith(f"https://app.example/behind/api/jobs/{JOB}/events/failed?expires=")
    assert Told(url).expires == str(int((clock.now() + HOUR).timestamp()))
    assert len(Told(url).signature) == 43
    assert NEW not in url


def test_others_can_sign_by_what_is_documented() -> None:
    asked = told()
    signed = json.dumps([PURPOSE, JOB, "completed", asked.expires]).encode()
    digest = hmac.new(NEW.encode(), signed, hashlib.sha256).digest()
    assert asked.signature == base64.urlsafe_b64encode(digest).decode().rstrip("=")


def test_a_url_holds_until_it_expires_and_no_second_longer() -> None:
    clock = SteppedClock()
    checked_by = callbacks(NEW, clock=clock)
    asked = Told(checked_by.url(JOB, "completed", expires_in=HOUR))
    clock.step(HOUR - timedelta(seconds=1))
    assert asked.holds(checked_by)
    clock.step(timedelta(seconds=1))
    assert not asked.holds(checked_by)


def test_a_secret_is_rotated_without_a_url_that_breaks() -> None:
    by_the_old, by_the_new = told(OLD), told(NEW)
    both = callbacks(NEW, OLD)
    assert by_the_old.holds(both)
    assert by_the_new.holds(both)
    assert told(NEW, OLD).signature == by_the_new.signature
    assert not by_the_old.holds(callbacks(NEW))


def signed_as(*said: str, secret: str = NEW) -> str:
    digest = hmac.digest(secret.encode(), json.dumps(said).encode(), "sha256")
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def padded(asked: Told) -> None:
    asked.signature += "="


def other_spelling(asked: Told) -> None:
    """The last of 43 characters carries four bits; its other two may be anything to a decoder."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    last = alphabet.index(asked.signature[-1])
    other = asked.signature[:-1] + alphabet[last + 1]
    assert base64.urlsafe_b64decode(other + "=") == base64.urlsafe_b64decode(asked.signature + "=")
    asked.signature = other


def set_to(**fields: str) -> Callable[[Told], None]:
    def change(asked: Told) -> None:
        vars(asked).update(fields)

    return change


def swapped(asked: Told) -> None:
    asked.expires, asked.signature = asked.signature, asked.expires


def later(asked: Told) -> None:
    asked.expires = str(int(asked.expires) + 1)


def respelled(spell: Callable[[str], str]) -> Callable[[Told], None]:
    """Another way to write the same moment, not signed and signed."""

    def change(asked: Told) -> None:
        asked.expires = spell(asked.expires)
        assert not asked.holds(callbacks(NEW))
        asked.signature = signed_as(PURPOSE, asked.job_id, asked.name, asked.expires)

    return change


def signed_otherwise(*, secret: str = NEW, purpose: str = PURPOSE) -> Callable[[Told], None]:
    def change(asked: Told) -> None:
        asked.signature = signed_as(purpose, asked.job_id, asked.name, asked.expires, secret=secret)

    return change


def signed_plainly(asked: Told) -> None:
    """As if the parts stood one after the other, without anything between them."""
    whole = "".join((PURPOSE, asked.job_id, asked.name, asked.expires)).encode()
    digest = hmac.digest(NEW.encode(), whole, "sha256")
    asked.signature = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def moved_border(asked: Told) -> None:
    """The same letters, another job."""
    asked.job_id, asked.name = asked.job_id[:-1], asked.job_id[-1] + asked.name


def in_hex(asked: Told) -> None:
    asked.signature = base64.urlsafe_b64decode(asked.signature + "=").hex()


def in_plain_base64(asked: Told) -> None:
    asked.signature = "+/" + asked.signature[2:]


def truncated(by: int) -> Callable[[Told], None]:
    def change(asked: Told) -> None:
        asked.signature = asked.signature[:-by]

    return change


def doubled(asked: Told) -> None:
    """As a host tells a parameter that came twice."""
    asked.signature = f"{asked.signature},{asked.signature}"


def doubled_time(asked: Told) -> None:
    asked.expires = f"{asked.expires},{asked.expires}"


FORGERIES: dict[str, Callable[[Told], None]] = {
    "another job": set_to(job_id="1f3a" * 8),
    "another job in capitals": set_to(job_id=JOB.upper()),
    "no job": set_to(job_id=""),
    "another event": set_to(name="failed"),
    "another event in capitals": set_to(name="Completed"),
    "no event": set_to(name=""),
    "the border between job and event moved": moved_border,
    "a later time": later,
    "no time": set_to(expires=""),
    "time zero": set_to(expires="0"),
    "for ever": set_to(expires="999999999999"),
    "a time that is no number": set_to(expires="soon"),
    "the time with a sign": respelled(lambda time: f"+{time}"),
    "the time with a blank": respelled(lambda time: f" {time}"),
    "the time with a line feed": respelled(lambda time: f"{time}\n"),
    "the time with a zero before it": respelled(lambda time: f"0{time}"),
    "the time with a fraction": respelled(lambda time: f"{time}.5"),
    "the time with an underscore": respelled(lambda time: f"{time[0]}_{time[1:]}"),
    "the time in Arabic digits": respelled(lambda time: "".join(chr(0x660 + int(digit)) for digit in time)),
    "the time as a power of ten": respelled(lambda _: "9e11"),
    "a time of a thousand digits": respelled(lambda _: "9" * 1000),
    "a time in the past": respelled(lambda _: "1"),
    "a negative time": respelled(lambda time: f"-{time}"),
    "the time twice": doubled_time,
    "time and signature swapped": swapped,
    "no signature": set_to(signature=""),
    "a signature without its last character": truncated(1),
    "half a signature": truncated(21),
    "a signature of one character": truncated(42),
    "a signature with padding": padded,
    "a signature in another spelling of the same bytes": other_spelling,
    "a signature in hex": in_hex,
    "a signature in plain base64": in_plain_base64,
    "the signature twice": doubled,
    "a signature of zeros": set_to(signature="A" * 43),
    "a signature of other scripts": set_to(signature="\u0410" * 43),
    "a signature of half a character": set_to(signature="\ud800" * 43),
    "a signature with a zero byte": set_to(signature="\0"),
    "an endless signature": set_to(signature="A" * 100_000),
    "signed by a stranger": signed_otherwise(secret=STRANGE),
    "signed with nothing": signed_otherwise(secret=""),
    "signed for another purpose": signed_otherwise(purpose="afterword callback 0"),
    "signed without borders": signed_plainly,
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_what_is_not_as_we_signed_it_does_not_hold(forgery: str) -> None:
    asked = told()
    FORGERIES[forgery](asked)
    assert not asked.holds(callbacks(NEW))
    assert not asked.holds(callbacks(NEW, OLD))


@pytest.mark.parametrize("job_id", ["жоб", "a/b?c#d&e=f", "a\nb", 'a","completed', "\U0001f600", "a b+c%20"])
def test_a_job_of_any_name_has_a_url_of_its_own(job_id: str) -> None:
    url = callbacks(NEW).url(job_id, "completed", expires_in=HOUR)
    asked = Told(url)
    assert url.isascii()
    assert asked.job_id not in ("", job_id)  # quoted: the host gives it back as it was
    asked.job_id = job_id
    assert asked.holds(callbacks(NEW))
    assert told(NEW).signature != asked.signature


def test_without_a_secret_nothing_is_signed_and_nothing_holds() -> None:
    off = callbacks()
    assert not off.are_accepted
    assert not told(NEW).holds(off)
    unsigned = told(NEW)
    unsigned.signature = signed_as(PURPOSE, JOB, "completed", unsigned.expires, secret="")
    assert not unsigned.holds(off)
    with pytest.raises(CallbacksOff, match="CallbackSecret"):
        off.url(JOB, "completed", expires_in=HOUR)


def test_without_a_public_url_nothing_is_handed_out() -> None:
    nowhere = callbacks(NEW, public_url="")
    with pytest.raises(CallbacksOff, match="PublicUrl"):
        nowhere.url(JOB, "completed", expires_in=HOUR)
    assert nowhere.are_accepted


def test_a_url_is_for_a_known_event_and_for_a_while() -> None:
    with pytest.raises(ValueError, match="callback URL"):
        callbacks(NEW).url(JOB, "done", expires_in=HOUR)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="callback URL"):
        callbacks(NEW).url(JOB, "completed", expires_in=timedelta(0))
