"""Google's Customer Match through the Data Manager API, as far as its documents reach.

Known from documents: audience members are ingested and removed by ``audienceMembers:ingest`` and ``:remove``; hashes
are SHA-256 of normalised addresses (dots of gmail.com left out) and of E.164 numbers; consent for ad user data and for
personalisation is stated with each call. Everything else here is in ``UNVERIFIED``; no live account was asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import httpx2
import msgspec

from ads.connector import Capabilities, Delivery, Refused, RemoteAudience, Throttled, Uncertain
from ads.connectors.calling import calling, timeouts
from ads.hashing import GOOGLE, PhoneFormat
from ads.identity import hashed
from clv.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ads.connector import Member, Replacement
    from ads.identity import Identity
    from clv.audiences import AudienceSpec

UNVERIFIED = (
    "rows and bytes of a request: RudderStack's 10,000 rows are kept",
    "the spelling of consent",
    "how long to wait when throttled: a minute where Retry-After does not say",
    "which rows of a request were invalid: the answer does not name them",
)
_WAIT_MS = 60_000


class GoogleConfig(msgspec.Struct, frozen=True, kw_only=True):
    """An account and its audiences.

    Parameters
    ----------
    audiences
        Name of each audience to its user list's id: lists are made in Google Ads, not here.
    has_consent
        Whether the customers have agreed; without, nothing may be sent.
    """

    base_url: str
    access_token: str
    account_id: str
    audiences: Mapping[str, str]
    has_consent: bool

    def __repr__(self) -> str:
        """Say nothing of the token."""
        return f"GoogleConfig({self.base_url}, {self.account_id})"


class GoogleConnector:
    """User lists of one account.

    Parameters
    ----------
    clock
        Epoch milliseconds.
    """

    def __init__(self, config: GoogleConfig, *, clock: Callable[[], int]) -> None:
        if not config.access_token or not config.account_id:
            raise ConfigError(
                "Google needs an access token and an account id", "CLV_GOOGLE_ACCESS_TOKEN, CLV_GOOGLE_ACCOUNT_ID"
            )
        if not config.has_consent:
            raise ConfigError(
                "Google takes nobody without consent", "set CLV_GOOGLE_CONSENT=granted once customers agreed"
            )
        self._config = config
        self._clock = clock
        self._http = httpx2.Client(
            base_url=config.base_url.rstrip("/"),
            headers={"Authorization": f"Bearer {config.access_token}"},
            timeout=timeouts(),
        )

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    @property
    def capabilities(self) -> Capabilities:
        """What Google is known to take."""
        return Capabilities(
            platform="google",
            most_rows=10_000,
            most_bytes=2_000_000,
            smallest_audience=1_000,
            needs_identity=True,
            can_replace=False,
            can_erase=False,
            takes_values=False,
            delta_resets_learning=False,
            replace_seconds=0,
            phone_format=PhoneFormat.E164,
            unverified=UNVERIFIED,
        )

    def identifiers(self, identity: Identity) -> tuple[str, ...]:
        """Return the hashes of address and number, empty text for one that is not known or not one."""
        return hashed(identity, GOOGLE)

    def ensure(self, spec: AudienceSpec) -> RemoteAudience:
        """Return the user list that the configuration names."""
        list_id = self._config.audiences.get(spec.name, "")
        if not list_id:
            return RemoteAudience("", problem=f"no user list is named for {spec.name!r}: CLV_GOOGLE_AUDIENCES")
        return RemoteAudience(list_id)

    def add(self, remote_id: str, spec: AudienceSpec, members: Sequence[Member]) -> Delivery:
        """Add members."""
        del spec
        consent = {"adUserData": "CONSENT_GRANTED", "adPersonalization": "CONSENT_GRANTED"}
        return self._send("ingest", remote_id, members, {"consent": consent})

    def remove(self, remote_id: str, spec: AudienceSpec, members: Sequence[Member]) -> Delivery:
        """Remove members."""
        del spec
        return self._send("remove", remote_id, members, {})

    def replace(self, remote_id: str, spec: AudienceSpec, members: Sequence[Member], session: Replacement) -> Delivery:
        """Never asked for: ``can_replace`` is false."""
        raise NotImplementedError

    def erase(self, members: Sequence[Member]) -> Delivery:
        """Never asked for: ``can_erase`` is false, people leave each audience by ``remove``."""
        raise NotImplementedError

    def _send(self, verb: str, remote_id: str, members: Sequence[Member], extra: dict[str, Any]) -> Delivery:
        account = {"accountType": "GOOGLE_ADS", "accountId": self._config.account_id}
        body = {
            "destinations": [{"operatingAccount": account, "productDestinationId": remote_id}],
            "audienceMembers": [{"userData": {"userIdentifiers": _identifiers(each)}} for each in members],
            "encoding": "HEX",
            **extra,
        }
        with calling("Google"):
            response = self._http.post(f"/v1/audienceMembers:{verb}", json=body)
        self._check(response)
        return Delivery()

    def _check(self, response: httpx2.Response) -> None:
        if response.status_code == httpx2.codes.OK:
            return
        says = f"Google answered {response.status_code}"
        if response.status_code == httpx2.codes.TOO_MANY_REQUESTS:
            seconds = response.headers.get("retry-after", "")
            wait_ms = int(seconds) * 1_000 if seconds.isdecimal() else _WAIT_MS
            raise Throttled(says, self._clock() + wait_ms)
        if response.status_code >= httpx2.codes.INTERNAL_SERVER_ERROR:
            raise Uncertain(says)
        raise Refused(f"{says}: {_status(response)}", "look at the token, the account, the user list and the terms")


def _identifiers(member: Member) -> list[dict[str, str]]:
    email, phone = member.identifiers
    found = [{"emailAddress": email}] if email else []
    return [*found, {"phoneNumber": phone}] if phone else found


def _status(response: httpx2.Response) -> str:
    try:
        return str(response.json()["error"]["status"])[:100]
    except (ValueError, KeyError, TypeError):
        return "without saying why"
