"""What Google and TikTok are sent, and how their answers are understood, as far as anybody knows."""

from __future__ import annotations

import json
from contextlib import closing
from typing import Any

import pytest

from ads.connector import Member, NotDone, Refused, Throttled, Uncertain
from ads.connectors.google import GoogleConfig, GoogleConnector
from ads.connectors.tiktok import TikTokConfig, TikTokConnector
from ads.identity import Identity
from clv.audiences import AUDIENCES
from clv.errors import ConfigError
from tests.contract.ads.recorder import Recorder

TIER = AUDIENCES[0]
EMAIL, PHONE = "a" * 64, "b" * 64
MEMBERS = [Member("c1", (EMAIL, PHONE)), Member("c2", ("c" * 64, ""))]
OK: tuple[int, Any, dict[str, str]] = (200, {"code": 0, "data": {"file_path": "up/1"}}, {})


def google(url: str, *, has_consent: bool = True) -> GoogleConnector:
    """Return a connector."""
    config = GoogleConfig(
        base_url=url, access_token="t", account_id="42", audiences={TIER.name: "7"}, has_consent=has_consent
    )
    return GoogleConnector(config, clock=lambda: 0)


def tiktok(url: str) -> TikTokConnector:
    """Return a connector."""
    config = TikTokConfig(base_url=url, access_token="t", advertiser_id="42", audiences={TIER.name: "7"})
    return TikTokConnector(config, clock=lambda: 0)


def test_google_is_sent_hashes_with_consent() -> None:
    """Every member with what is known of them, to the list that is named."""
    with Recorder(OK) as server, closing(google(server.url)) as connector:
        assert connector.ensure(TIER).remote_id == "7"
        connector.add("7", TIER, MEMBERS)
        connector.remove("7", TIER, MEMBERS)
    paths = [path for path, _, _ in server.asked]
    assert paths == ["/v1/audienceMembers:ingest", "/v1/audienceMembers:remove"]
    body = json.loads(server.asked[0][2])
    assert body["destinations"][0]["productDestinationId"] == "7"
    assert [each["userData"]["userIdentifiers"] for each in body["audienceMembers"]] == [
        [{"emailAddress": EMAIL}, {"phoneNumber": PHONE}],
        [{"emailAddress": "c" * 64}],
    ]
    assert body["consent"] == {"adUserData": "CONSENT_GRANTED", "adPersonalization": "CONSENT_GRANTED"}
    assert server.asked[0][1]["authorization"] == "Bearer t"


def test_google_gets_nobody_without_consent() -> None:
    """It refuses to start, with the setting."""
    with pytest.raises(ConfigError, match="consent"):
        google("http://127.0.0.1:1", has_consent=False)


def test_tiktok_is_sent_a_file_for_each_type() -> None:
    """Uploaded, then appended or removed."""
    with Recorder(OK) as server, closing(tiktok(server.url)) as connector:
        connector.add("7", TIER, MEMBERS)
    paths = [path.removeprefix("/open_api/v1.3/dmp/custom_audience") for path, _, _ in server.asked]
    assert paths == ["/file/upload/", "/update/"] * 2
    uploads = [body for path, _, body in server.asked if "upload" in path]
    assert [(EMAIL.encode() in body, PHONE.encode() in body) for body in uploads] == [(True, False), (False, True)]
    assert json.loads(server.asked[1][2]) == {
        "advertiser_id": "42",
        "custom_audience_id": "7",
        "action": "APPEND",
        "file_paths": ["up/1"],
    }


@pytest.mark.parametrize("make", [google, tiktok], ids=["google", "tiktok"])
def test_an_audience_that_is_not_named_is_a_persons_business(make: Any) -> None:
    """With the setting to mend."""
    with closing(make("http://127.0.0.1:1")) as connector:
        assert "_AUDIENCES" in connector.ensure(AUDIENCES[1]).problem


@pytest.mark.parametrize("make", [google, tiktok], ids=["google", "tiktok"])
@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ((429, {"code": 40100}, {"retry-after": "9"}), Throttled),
        ((500, "?", {}), Uncertain),
        ((400, {"code": 40001, "error": {"status": "PERMISSION_DENIED"}}, {}), Refused),
    ],
    ids=["throttled", "broken", "refused"],
)
def test_how_a_call_can_end(make: Any, answer: tuple[int, Any, dict[str, str]], error: type[Exception]) -> None:
    """Each way in our words."""
    with Recorder(answer) as server, closing(make(server.url)) as connector, pytest.raises(error):
        connector.add("7", TIER, MEMBERS)


@pytest.mark.parametrize("make", [google, tiktok], ids=["google", "tiktok"])
def test_nobody_there_changes_nothing(make: Any) -> None:
    """A connection that was not made is no call."""
    with closing(make("http://127.0.0.1:1")) as connector, pytest.raises(NotDone):
        connector.add("7", TIER, MEMBERS)


@pytest.mark.parametrize("make", [google, tiktok], ids=["google", "tiktok"])
def test_what_is_unverified_is_listed(make: Any) -> None:
    """And hashes are the platform's own."""
    with closing(make("http://127.0.0.1:1")) as connector:
        assert len(connector.capabilities.unverified) > 2
        email, phone = connector.identifiers(Identity("a.b@gmail.com", "5559876543", "US"))
        assert (len(email), len(phone)) == (64, 64)
