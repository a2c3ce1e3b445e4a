"""Meta's custom audiences: the complete connector.

Members are SHA-256 of e-mail address and telephone number under a two-column schema, with a value where the audience is
value-based. Sources: Meta Marketing API v26, customer-file audiences, custom audience users, usersreplace, lookalikes.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

import structlog

from ads.connector import Capabilities, Delivery, NotDone, RemoteAudience, Uncertain
from ads.connectors.meta_errors import REPLACE_SECONDS
from ads.hashing import META, PhoneFormat
from ads.identity import hashed
from clv.money import to_major

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ads.connector import Member, Replacement
    from ads.connectors.meta_client import MetaClient
    from ads.identity import Identity
    from clv.audiences import AudienceSpec

log = structlog.get_logger(__name__)
MOST_ROWS = 10_000
_ROW_BYTES = 170
"""Of a row in JSON at most: two hashes and a value, with their quotes and commas."""
MOST_BYTES = 1_000_000
"""Of one request's body. Meta documents none; ten thousand rows by two hashes would make 1.7 MB."""
SMALLEST = 100
_FLAGGED = 471
_LISTED_MS = 60_000
_FIELDS = "id,name,subtype,operation_status,approximate_count_lower_bound"
_ACTIVE = '["ACTIVE","PENDING_REVIEW","IN_PROCESS","WITH_ISSUES","PREAPPROVED"]'


class MetaConnector:
    """Audiences of one ad account.

    Parameters
    ----------
    most_rows
        Of one request.
    """

    def __init__(self, client: MetaClient, *, most_rows: int = min(MOST_ROWS, MOST_BYTES // _ROW_BYTES)) -> None:
        self._client = client
        self._most_rows = most_rows
        self._account = client.config.account
        self._listed: dict[str, dict[str, Any]] = {}
        self._listed_ms = -_LISTED_MS

    @property
    def capabilities(self) -> Capabilities:
        """What Meta takes."""
        return Capabilities(
            platform="meta",
            most_rows=self._most_rows,
            most_bytes=MOST_BYTES,
            smallest_audience=SMALLEST,
            needs_identity=True,
            can_replace=True,
            can_erase=True,
            takes_values=True,
            delta_resets_learning=True,
            replace_seconds=REPLACE_SECONDS,
            phone_format=PhoneFormat.DIGITS,
            unverified=(
                "bytes of a request's body",
                "which subcode of 2650 means what",
                "that the edge /ads of an audience lists the ads that use it",
            ),
        )

    def identifiers(self, identity: Identity) -> tuple[str, ...]:
        """Return the hashes of address and number, empty text for one that is not known or not one."""
        return hashed(identity, META)

    def ensure(self, spec: AudienceSpec) -> RemoteAudience:
        """Find the audience by its name, or make it; and its lookalike once it has members enough."""
        if self._client.now_ms() - self._listed_ms >= _LISTED_MS:
            pages = self._client.pages(f"{self._account}/customaudiences", {"fields": _FIELDS})
            # An audience may have been made twice when the first answer did not come: the older one counts.
            self._listed = {}
            for each in sorted(pages, key=lambda each: int(each["id"])):
                self._listed.setdefault(str(each.get("name")), each)
            self._listed_ms = self._client.now_ms()
        found = self._listed.get(spec.name)
        if found is None:
            found = self._create(spec)
        remote_id = str(found["id"])
        status = found.get("operation_status") or {}
        if status.get("code") == _FLAGGED:
            says = str(status.get("description") or "its name or description suggests health or finances")[:200]
            return RemoteAudience(remote_id, problem=f"Meta has stopped the audience (471): {says}")
        self._ensure_lookalike(spec, found)
        return RemoteAudience(remote_id, is_in_use=self._is_in_use(remote_id))

    def add(self, remote_id: str, spec: AudienceSpec, members: Sequence[Member]) -> Delivery:
        """Add members; Meta takes one who is there for the same."""
        answer = self._client.post(f"{remote_id}/users", self._body(spec, members))
        return _delivery(members, answer)

    def remove(self, remote_id: str, spec: AudienceSpec, members: Sequence[Member]) -> Delivery:
        """Remove members."""
        body = {"method": "DELETE", **self._body(spec, members, with_values=False)}
        return _delivery(members, self._client.post(f"{remote_id}/users", body))

    def replace(self, remote_id: str, spec: AudienceSpec, members: Sequence[Member], session: Replacement) -> Delivery:
        """Send a batch of a replacement, once: it may not be repeated when its answer does not come."""
        body = self._body(spec, members)
        body["session"] = {
            "session_id": session.session_id,
            "batch_seq": session.next_batch,
            "last_batch_flag": session.is_last,
            "estimated_num_total": session.total,
        }
        try:
            answer = self._client.post(f"{remote_id}/usersreplace", body, may_repeat=False)
        except NotDone as problem:
            if isinstance(problem.__cause__, Exception):
                raise  # no connection was made
            raise Uncertain(str(problem)) from problem  # an unknown error of theirs may have come in the middle
        return _delivery(members, answer)

    def erase(self, members: Sequence[Member]) -> Delivery:
        """Remove people from every audience of the ad account."""
        body = {"method": "DELETE", "payload": _payload(members, values=None)}
        return _delivery(members, self._client.post(f"{self._account}/usersofanyaudience", body))

    def _body(self, spec: AudienceSpec, members: Sequence[Member], *, with_values: bool = True) -> dict[str, Any]:
        digits = self._client.config.digits
        values = None
        if spec.is_value_based and with_values:
            values = [float(to_major(max(each.value_minor, 0), digits)) for each in members]
        session = {
            "session_id": secrets.randbelow(2**62) + 1,
            "batch_seq": 1,
            "last_batch_flag": True,
            "estimated_num_total": len(members),
        }
        return {"payload": _payload(members, values), "session": session}

    def _create(self, spec: AudienceSpec) -> dict[str, Any]:
        body: dict[str, Any] = {
            "name": spec.name,
            "description": spec.purpose,
            "subtype": "CUSTOM",
            "customer_file_source": "USER_PROVIDED_ONLY",
            "audience_labels": [spec.label],
        }
        if spec.is_value_based:
            body["is_value_based"] = 1
        # Not repeated: an audience that was made without an answer is found by its name at the next look.
        made = self._client.post(f"{self._account}/customaudiences", body, may_repeat=False)
        if not made.get("id"):
            raise Uncertain("Meta made an audience without an id")
        log.info("audience made", platform="meta", audience=spec.name)
        self._listed[spec.name] = {"id": made["id"], "name": spec.name}
        return self._listed[spec.name]

    def _ensure_lookalike(self, spec: AudienceSpec, found: dict[str, Any]) -> None:
        wanted, country = spec.lookalike, self._client.config.country
        if wanted is None or not country:
            return
        name = f"{spec.name} lookalike {wanted.ratio:.0%} {country}"
        count = found.get("approximate_count_lower_bound")
        if name in self._listed or not isinstance(count, int) or count < SMALLEST:
            return
        body = {
            "name": name,
            "subtype": "LOOKALIKE",
            "origin_audience_id": found["id"],
            "lookalike_spec": {"ratio": wanted.ratio, "country": country},
        }
        made = self._client.post(f"{self._account}/customaudiences", body, may_repeat=False)
        self._listed[name] = {"id": made.get("id"), "name": name}
        log.info("lookalike made", platform="meta", audience=name)

    def _is_in_use(self, remote_id: str) -> bool:
        """Tell whether an active ad uses the audience."""
        answer = self._client.get(f"{remote_id}/ads", {"fields": "id", "limit": 1, "effective_status": _ACTIVE})
        return bool(answer.get("data"))


def _payload(members: Sequence[Member], values: Sequence[float] | None) -> dict[str, Any]:
    schema = ["EMAIL", "PHONE"] if values is None else ["EMAIL", "PHONE", "LOOKALIKE_VALUE"]
    rows: list[list[str | float]] = [list(each.identifiers) for each in members]
    if values is not None:
        for row, value in zip(rows, values, strict=True):
            row.append(value)
    return {"schema": schema, "data": rows}


def _delivery(members: Sequence[Member], answer: dict[str, Any]) -> Delivery:
    """Return which rows Meta refused: it shows up to a hundred of them, and counts all."""
    samples = answer.get("invalid_entry_samples") or {}
    said = (
        " ".join([str(part) for pair in samples.items() for part in pair])
        if isinstance(samples, dict)
        else str(samples)
    )
    rejected = tuple(
        (position, "Meta refuses the row as invalid")
        for position, each in enumerate(members)
        if said and any(name and name in said for name in each.identifiers)
    )
    count = answer.get("num_invalid_entries")
    unexplained = max(count - len(rejected), 0) if isinstance(count, int) else 0
    return Delivery(rejected, unexplained)
