"""TikTok's custom audiences by file upload, as far as help pages and connectors of others tell; see ``UNVERIFIED``.

A file holds one type of identifier: a batch goes as a file of address hashes and one of number hashes, each uploaded
and then appended to the audience or removed from it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import httpx2
import msgspec

from ads.connector import Capabilities, Delivery, Refused, RemoteAudience, Throttled, Uncertain
from ads.connectors.calling import calling, timeouts
from ads.hashing import TIKTOK, PhoneFormat
from ads.identity import hashed
from clv.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ads.connector import Member, Replacement
    from ads.identity import Identity
    from clv.audiences import AudienceSpec

UNVERIFIED = (
    "names of paths, parameters and error codes: no official document was at hand",
    "rows and bytes of a file",
    "telephone numbers with their plus sign: an older page asks for digits alone",
    "that audiences under 1,000 members are not used",
    "REPLACE, which is not used",
)
_TYPES = ("EMAIL_SHA256", "PHONE_SHA256")
_THROTTLED = 40100
_WAIT_MS = 60_000
_PATH = "/open_api/v1.3/dmp/custom_audience"


class TikTokConfig(msgspec.Struct, frozen=True, kw_only=True):
    """An advertiser and its audiences.

    Parameters
    ----------
    audiences
        Name of each audience to its id: they are made in TikTok's Ads Manager, not here.
    """

    base_url: str
    access_token: str
    advertiser_id: str
    audiences: Mapping[str, str]

    def __repr__(self) -> str:
        """Say nothing of the token."""
        return f"TikTokConfig({self.base_url}, {self.advertiser_id})"


class TikTokConnector:
    """Audiences of one advertiser.

    Parameters
    ----------
    clock
        Epoch milliseconds.
    """

    def __init__(self, config: TikTokConfig, *, clock: Callable[[], int]) -> None:
        if not config.access_token or not config.advertiser_id:
            raise ConfigError(
                "TikTok needs an access token and an advertiser id", "CLV_TIKTOK_ACCESS_TOKEN, CLV_TIKTOK_ADVERTISER_ID"
            )
        self._config = config
        self._clock = clock
        self._http = httpx2.Client(
            base_url=config.base_url.rstrip("/"),
            headers={"Access-Token": config.access_token},
            timeout=timeouts(),
        )

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    @property
    def capabilities(self) -> Capabilities:
        """What TikTok is known to take."""
        return Capabilities(
            platform="tiktok",
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
        return hashed(identity, TIKTOK)

    def ensure(self, spec: AudienceSpec) -> RemoteAudience:
        """Return the audience that the configuration names."""
        audience_id = self._config.audiences.get(spec.name, "")
        if not audience_id:
            return RemoteAudience("", problem=f"no audience is named for {spec.name!r}: CLV_TIKTOK_AUDIENCES")
        return RemoteAudience(audience_id)

    def add(self, remote_id: str, spec: AudienceSpec, members: Sequence[Member]) -> Delivery:
        """Add members."""
        del spec
        return self._send("APPEND", remote_id, members)

    def remove(self, remote_id: str, spec: AudienceSpec, members: Sequence[Member]) -> Delivery:
        """Remove members."""
        del spec
        return self._send("REMOVE", remote_id, members)

    def replace(self, remote_id: str, spec: AudienceSpec, members: Sequence[Member], session: Replacement) -> Delivery:
        """Never asked for: ``can_replace`` is false."""
        raise NotImplementedError

    def erase(self, members: Sequence[Member]) -> Delivery:
        """Never asked for: ``can_erase`` is false, people leave each audience by ``remove``."""
        raise NotImplementedError

    def _send(self, action: str, remote_id: str, members: Sequence[Member]) -> Delivery:
        for place, kind in enumerate(_TYPES):
            hashes = [each.identifiers[place] for each in members if each.identifiers[place]]
            if hashes:
                path = self._upload("\n".join(hashes).encode(), kind)
                body = {
                    "advertiser_id": self._config.advertiser_id,
                    "custom_audience_id": remote_id,
                    "action": action,
                    "file_paths": [path],
                }
                self._post(f"{_PATH}/update/", json=body)
        return Delivery()

    def _upload(self, content: bytes, kind: str) -> str:
        signature = hashlib.md5(content, usedforsecurity=False).hexdigest()
        fields = {
            "advertiser_id": self._config.advertiser_id,
            "file_signature": signature,
            "calculate_type": kind,
        }
        answer = self._post(f"{_PATH}/file/upload/", data=fields, files={"file": ("members.csv", content)})
        return str(answer["file_path"])

    def _post(self, path: str, **content: Any) -> dict[str, Any]:
        with calling("TikTok"):
            response = self._http.post(path, **content)
        try:
            answer = response.json()
            code, data = int(answer["code"]), answer.get("data") or {}
        except (ValueError, KeyError, TypeError) as problem:
            raise Uncertain(f"TikTok answered {response.status_code} without saying more") from problem
        if code == _THROTTLED or response.status_code == httpx2.codes.TOO_MANY_REQUESTS:
            raise Throttled(f"TikTok {code}", self._clock() + _WAIT_MS)
        if code:
            raise Refused(f"TikTok {code}: {str(answer.get('message', ''))[:200]}", "look at token and advertiser")
        return dict(data)
