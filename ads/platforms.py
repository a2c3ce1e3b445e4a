"""The composition root of ads: settings to a platform's connector, identities and the key of suppressions."""

from __future__ import annotations

import contextlib
import os
import secrets
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ads.connectors.file import FileConnector
from ads.connectors.file_budget import FileBudgets
from ads.connectors.google import GoogleConfig, GoogleConnector
from ads.connectors.meta import MetaConnector
from ads.connectors.meta_budget import MetaBudgets
from ads.connectors.meta_client import MetaClient, MetaConfig
from ads.connectors.meta_conversions import MetaConversions
from ads.connectors.no_budget import NoBudgets
from ads.connectors.tiktok import TikTokConfig, TikTokConnector
from ads.identity import CsvIdentities, SqlIdentities
from ads.people import People
from ads.sync import Synchroniser
from clv.audiences import BY_NAME
from clv.errors import ConfigError
from clv.money import minor_digits
from clv.outcomes import SEGMENTS
from storage.audiences import suppressed
from storage.engine import Database

if TYPE_CHECKING:
    from ads.applying import BudgetGateway
    from ads.connector import AudienceConnector
    from ads.conversions import ConversionSender
    from ads.identity import IdentitySource
    from clv.settings import Settings

_KEY_BYTES = 32


@dataclass(frozen=True)
class Platform:
    """A platform that is set up: what the ads role and the commands work with. Close it at the end.

    ``key`` is that of the suppressions' digests.
    """

    name: str
    database: Database
    connector: AudienceConnector
    people: People
    key: bytes
    conversions: ConversionSender | None
    budgets: BudgetGateway
    opened: ExitStack

    def synchroniser(self) -> Synchroniser:
        """Return a synchroniser by the clock."""
        return Synchroniser(self.database, self.connector, self.people, clock=now_ms)

    def close(self) -> None:
        """Close what was opened for it."""
        self.opened.close()


def now_ms() -> int:
    """Return the clock's time, epoch milliseconds."""
    return round(time.time() * 1_000)


def open_platform(settings: Settings, database: Database) -> Platform:
    """Return the platform that ``CLV_ADS_PLATFORM`` names.

    Raises
    ------
    ConfigError
        When a setting that it needs is missing or wrong; names it.
    """
    with ExitStack() as closing:
        connector, conversions, budgets = _connect(settings, closing)
        if connector.capabilities.needs_identity and not (settings.identity_file or settings.identity_table):
            raise ConfigError(
                f"{settings.ads_platform} knows people by e-mail or telephone, and no identities are set",
                "set CLV_IDENTITY_FILE to a CSV of customer_id,email,phone, or CLV_IDENTITY_TABLE",
            )
        theirs = database
        if settings.identity_table and settings.identity_url:
            theirs = closing.enter_context(contextlib.closing(Database(settings.identity_url)))
        key = _suppression_key(settings)
        people = People(connector, _source(settings, theirs), key=key, suppressed=lambda: suppressed(database))
        return Platform(
            settings.ads_platform, database, connector, people, key, conversions, budgets, closing.pop_all()
        )


def _source(settings: Settings, database: Database) -> IdentitySource | None:
    if settings.identity_file:
        path = Path(settings.identity_file).expanduser()
        if not path.is_file():
            raise ConfigError(f"CLV_IDENTITY_FILE is {str(path)!r}, and there is no such file")
        return CsvIdentities(path)
    return SqlIdentities(database, settings.identity_table) if settings.identity_table else None


def _suppression_key(settings: Settings) -> bytes:
    if settings.suppression_key:
        return settings.suppression_key.encode()
    path = settings.data_dir / "suppression.key"
    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            return path.read_bytes()
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_hex(_KEY_BYTES).encode())
        return path.read_bytes()
    except OSError as problem:
        raise ConfigError(f"{path} cannot be used: {problem.strerror}", "set CLV_SUPPRESSION_KEY") from problem


def _connect(
    settings: Settings, closing: ExitStack
) -> tuple[AudienceConnector, ConversionSender | None, BudgetGateway]:
    digits = minor_digits(settings.currency)
    if settings.ads_platform == "file":
        folder = (
            Path(settings.ads_dir).expanduser() if settings.ads_dir else settings.data_dir / "audiences"
        ).absolute()
        return FileConnector(folder, digits=digits), None, FileBudgets(folder, SEGMENTS)
    if settings.ads_platform == "google":
        google = closing.enter_context(contextlib.closing(GoogleConnector(_google(settings), clock=now_ms)))
        return google, None, NoBudgets("google")
    if settings.ads_platform == "tiktok":
        tiktok = closing.enter_context(contextlib.closing(TikTokConnector(_tiktok(settings), clock=now_ms)))
        return tiktok, None, NoBudgets("tiktok")
    client = closing.enter_context(contextlib.closing(open_meta(settings)))
    sender = MetaConversions(client, currency=settings.currency) if settings.meta_pixel_id else None
    budgets = MetaBudgets(client, ad_sets_of(settings.meta_ad_sets), currency=settings.currency)
    return MetaConnector(client), sender, budgets


def ad_sets_of(text: str) -> dict[str, tuple[str, ...]]:
    """Return each segment's ad sets from ``CLV_META_AD_SETS``.

    Raises
    ------
    ConfigError
        When it has another form, or names what is no segment.

    Examples
    --------
    >>> ad_sets_of("High-CLV=1+2,Low-CLV=4")
    {'High-CLV': ('1', '2'), 'Low-CLV': ('4',)}
    """
    found: dict[str, tuple[str, ...]] = {}
    for part in filter(None, text.split(",")):
        segment, _, ids = part.strip().partition("=")
        named = tuple(filter(None, ids.split("+")))
        if segment not in SEGMENTS or not named or not all(each.isdigit() for each in named):
            raise ConfigError(
                f"CLV_META_AD_SETS has {part.strip()!r}", "for example High-CLV=1+2,Growth-Potential=3,Low-CLV=4"
            )
        found[segment] = named
    return found


def _google(settings: Settings) -> GoogleConfig:
    return GoogleConfig(
        base_url=settings.google_base_url,
        access_token=settings.google_access_token,
        account_id=settings.google_account_id,
        audiences=_audiences_of("CLV_GOOGLE_AUDIENCES", settings.google_audiences),
        has_consent=settings.google_consent == "granted",
    )


def _tiktok(settings: Settings) -> TikTokConfig:
    return TikTokConfig(
        base_url=settings.tiktok_base_url,
        access_token=settings.tiktok_access_token,
        advertiser_id=settings.tiktok_advertiser_id,
        audiences=_audiences_of("CLV_TIKTOK_AUDIENCES", settings.tiktok_audiences),
    )


def _audiences_of(variable: str, text: str) -> dict[str, str]:
    """Return each audience's id at the platform from a setting, ``CLV tier A=1,CLV tier B=2``."""
    found: dict[str, str] = {}
    for part in filter(None, text.split(",")):
        name, _, remote_id = (each.strip() for each in part.partition("="))
        if name not in BY_NAME or not remote_id:
            raise ConfigError(f"{variable} has {part.strip()!r}", f"names are {', '.join(BY_NAME)}")
        found[name] = remote_id
    return found


def open_meta(settings: Settings) -> MetaClient:
    """Return a client of the ad account in the settings; close it at the end.

    Raises
    ------
    ConfigError
        When the token or the account is missing.
    """
    config = MetaConfig(
        base_url=settings.meta_base_url,
        api_version=settings.meta_api_version,
        access_token=settings.meta_access_token,
        ad_account_id=settings.meta_ad_account_id,
        digits=minor_digits(settings.currency),
        pixel_id=settings.meta_pixel_id,
        country=settings.meta_country,
    )
    return MetaClient(config, clock=now_ms, sleep=time.sleep)
