"""Calls to Meta's Graph API: JSON bodies, the token in a header, answers and errors in our words.

Nothing of a person and no token is ever in a URL or in the log.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx2
import msgspec
import structlog
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from ads.connector import NotDone, Throttled, Uncertain
from ads.connectors.calling import ANSWER_SECONDS, calling, timeouts
from ads.connectors.meta_errors import is_passing, meaning, parse_error, rest_until_ms
from clv.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

log = structlog.get_logger(__name__)
_ATTEMPTS = 4
_LONGEST_WAIT_SECONDS = 8
_PAGE = 200
_MOST_PAGES = 1_000


class MetaConfig(msgspec.Struct, frozen=True, kw_only=True):
    """An ad account and how to reach it.

    Parameters
    ----------
    base_url
        Of the Graph API, without version.
    ad_account_id
        With or without ``act_``.
    digits
        Decimal places of the ad account's currency, which must be the reporting currency.
    country
        ISO 3166-1 alpha-2 code of the country in which lookalikes are looked for; empty: none are made.
    timeout_seconds
        How long an answer is waited for.
    """

    base_url: str
    api_version: str
    access_token: str
    ad_account_id: str
    digits: int
    pixel_id: str = ""
    country: str = ""
    timeout_seconds: float = ANSWER_SECONDS

    @property
    def account(self) -> str:
        """The ad account's node."""
        return f"act_{self.ad_account_id.removeprefix('act_')}"

    def __repr__(self) -> str:
        """Say nothing of the token."""
        return f"MetaConfig({self.base_url}, {self.account})"


class MetaClient:
    """Calls of one ad account, one at a time.

    Parameters
    ----------
    clock
        Epoch milliseconds.
    sleep
        Waits so many seconds between attempts.
    """

    def __init__(self, config: MetaConfig, *, clock: Callable[[], int], sleep: Callable[[float], None]) -> None:
        if not config.access_token:
            raise ConfigError("CLV_META_ACCESS_TOKEN is empty", "make one with ads_management for the ad account")
        if not config.ad_account_id.removeprefix("act_").isdigit():
            raise ConfigError(f"CLV_META_AD_ACCOUNT_ID is {config.ad_account_id!r}", "digits, with or without act_")
        self.config = config
        self._clock = clock
        self._sleep = sleep
        self._resting_until_ms = -1
        self._http = httpx2.Client(
            base_url=f"{config.base_url.rstrip('/')}/{config.api_version.strip('/')}/",
            headers={"Authorization": f"Bearer {config.access_token}"},
            timeout=timeouts(config.timeout_seconds),
        )

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def now_ms(self) -> int:
        """Return the clock's time, epoch milliseconds."""
        return self._clock()

    def get(self, path: str, params: Mapping[str, str | int] | None = None) -> dict[str, Any]:
        """Read; tried again a few times when the connection breaks or the platform is busy."""
        return self._repeated("GET", path, params=params, repeats=(NotDone, Uncertain))

    def pages(self, path: str, params: Mapping[str, str | int]) -> Iterator[dict[str, Any]]:
        """Give every item of a list, page by page."""
        asked: dict[str, str | int] = {"limit": _PAGE, **params}
        for _ in range(_MOST_PAGES):
            answer = self.get(path, asked)
            yield from (each for each in answer.get("data") or [] if isinstance(each, dict))
            paging = answer.get("paging") or {}
            after = (paging.get("cursors") or {}).get("after")
            if not paging.get("next") or not after:
                return
            asked["after"] = after

    def post(self, path: str, body: Mapping[str, Any], *, may_repeat: bool = True) -> dict[str, Any]:
        """Write.

        Parameters
        ----------
        may_repeat
            Whether doing it twice is the same as once: then it is tried again a few times when the platform is busy.

        Raises
        ------
        Refused, Throttled, NotDone, Uncertain, SessionLost
            As ``ads.connector`` says.
        """
        return self._repeated("POST", path, body=body, repeats=(NotDone,) if may_repeat else ())

    def _repeated(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str | int] | None = None,
        body: Mapping[str, Any] | None = None,
        repeats: tuple[type[Exception], ...],
    ) -> dict[str, Any]:
        def note(state: RetryCallState) -> None:
            """Say that the call is made again."""
            problem = state.outcome.exception() if state.outcome else None
            log.info("asking Meta again", method=method, attempt=state.attempt_number, problem=type(problem).__name__)

        attempts = Retrying(
            retry=retry_if_exception_type(repeats),
            wait=wait_random_exponential(0.5, max=_LONGEST_WAIT_SECONDS),
            stop=stop_after_attempt(_ATTEMPTS),
            sleep=self._sleep,
            before_sleep=note,
            reraise=True,
        )
        return attempts(self._call, method, path, params, body)

    def _call(
        self, method: str, path: str, params: Mapping[str, str | int] | None, body: Mapping[str, Any] | None
    ) -> dict[str, Any]:
        if self._resting_until_ms > self._clock():
            raise Throttled("Meta's quota is nearly used up", self._resting_until_ms)
        content = msgspec.json.encode(body) if body is not None else None
        headers = {"Content-Type": "application/json"} if content is not None else {}
        with calling("Meta"):
            response = self._http.request(method, path, params=params, content=content, headers=headers)
        return self._understood(response)

    def _understood(self, response: httpx2.Response) -> dict[str, Any]:
        self._resting_until_ms = rest_until_ms(response.headers, now_ms=self._clock())
        try:
            answer = response.json()
        except ValueError:
            answer = None
        error = parse_error(answer)
        if error is not None:
            found = meaning(error, response.headers, now_ms=self._clock())
            log.info("Meta refuses", code=error.code, subcode=error.subcode, passes=is_passing(error))
            raise found
        if response.status_code != httpx2.codes.OK or not isinstance(answer, dict):
            raise Uncertain(f"Meta answered {response.status_code} without saying more")
        return answer
