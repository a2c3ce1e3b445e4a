"""Settings of a deployment: one frozen value, read once from the environment by each composition root."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clv.errors import ConfigError, InvalidEvent
from clv.money import minor_digits, to_minor
from clv.pacing import monthly_most
from clv.retention import table_retention_ms, topic_retention_ms
from clv.secret_files import SUFFIX, read_secret_files

if TYPE_CHECKING:
    from collections.abc import Mapping

HOUR_MS = 3_600_000
DAY_MS = 86_400_000
_UNITS_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": HOUR_MS, "d": DAY_MS}


def _setting(default: Any, meaning: str, *, secret: bool = False) -> Any:
    return field(default=default, repr=not secret, metadata={"meaning": meaning, "secret": secret})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that a deployment can set, with its defaults; ``CLV_`` and the field's name in capitals sets it.

    Raises
    ------
    ConfigError
        From ``from_env``, naming the setting, when a value cannot be read or is impossible.

    Examples
    --------
    >>> Settings.from_env({"CLV_CURRENCY": "EUR", "CLV_ALLOWED_LATENESS": "36h"}).allowed_lateness_ms // HOUR_MS
    36
    """

    data_dir: Path = _setting(Path(".clv"), "directory of a local run's database, broker, logs")
    broker: str = _setting("", "Kafka bootstrap servers (host:port,…); empty: the embedded broker")
    database_url: str = _setting("", "SQLAlchemy URL; empty: SQLite in the data directory", secret=True)
    partitions: int = _setting(4, "partitions of the keyed topics, fixed at creation")
    replication: int = _setting(1, "replication factor of the topics")
    store: str = _setting("memory", "table store of a worker: memory or rocksdb")
    currency: str = _setting("USD", "reporting currency, ISO 4217")
    horizon_days: int = _setting(90, "days ahead that a CLV counts")
    allowed_lateness_ms: int = _setting(
        24 * HOUR_MS, "CLV_ALLOWED_LATENESS: how far out of order events may come, e.g. 24h"
    )
    duplicate_window_days: int = _setting(800, "event-days for which order and refund ids are remembered")
    far_ahead_days: int = _setting(7, "a jump of time beyond this needs other customers, or a Tick, to agree")
    margin: float = _setting(1.0, "contribution margin: CAC and budget use margin, not revenue")
    segment_cutoffs: str = _setting(
        "", "fixed cut-offs 'HIGH,GROWTH' in the currency; empty: percentiles by the trainer"
    )
    budget_total: str = _setting("10000", "budget that the signals share out, in the currency")
    budget_days: int = _setting(30, "days that the budget is for")
    budget_monthly_most: str = _setting(
        "", "most that a segment may cost in a calendar month, 'High-CLV=9000,Low-CLV=500'; others: no bound"
    )
    refit_days: int = _setting(28, "event-days between refits of the batch models")
    group: str = _setting("clv", "prefix of consumer groups and of the changelog")
    worker_id: str = _setting("worker", "name of this worker: the directory of its local store")
    batch_records: int = _setting(1000, "most records that are handled as one batch")
    api_host: str = _setting("127.0.0.1", "address that the API listens on; beyond loopback it needs keys")
    api_port: int = _setting(8000, "port that the API listens on")
    api_rate_per_second: int = _setting(1000, "requests a second that one caller may make")
    model_dir: str = _setting("", "directory of the SQLite database, which holds the models; empty: the data directory")
    ads_platform: str = _setting("file", "where audiences go: file, meta, google or tiktok")
    ads_dir: str = _setting("", "directory of the audiences' CSV files; empty: audiences in the data directory")
    ads_window_ms: int = _setting(
        HOUR_MS, "how long changes of audiences gather before they are sent, e.g. 1h; 0s: at once"
    )
    ads_most_moved_share: float = _setting(0.3, "part of an audience that one synchronisation may move unasked, 0-1")
    identity_file: str = _setting("", "CSV of customer_id, email, phone, country, opted_out, for the ads role alone")
    identity_url: str = _setting(
        "", "SQLAlchemy URL of a database with identities; empty: CLV_DATABASE_URL", secret=True
    )
    identity_table: str = _setting("", "table or view with the columns of CLV_IDENTITY_FILE")
    suppression_key: str = _setting(
        "", "secret that hides who is suppressed; empty: made at first use, suppression.key in the data directory",
        secret=True,
    )  # fmt: skip
    meta_base_url: str = _setting("https://graph.facebook.com", "Meta's Graph API, without version")
    meta_api_version: str = _setting("v26.0", "version of Meta's Graph API")
    meta_access_token: str = _setting("", "access token of Meta's ad account", secret=True)
    meta_ad_account_id: str = _setting("", "Meta's ad account, with or without act_")
    meta_ad_sets: str = _setting("", "ad sets of each segment, 'High-CLV=1+2,Growth-Potential=3,Low-CLV=4'")
    meta_country: str = _setting(
        "", "country (ISO 3166-1 alpha-2) that lookalikes are looked for in; empty: none are made"
    )
    meta_pixel_id: str = _setting("", "Meta's dataset that conversions go to; empty: none are sent")
    google_base_url: str = _setting("https://datamanager.googleapis.com", "Google's Data Manager API")
    google_access_token: str = _setting("", "access token for it", secret=True)
    google_account_id: str = _setting("", "Google Ads account")
    google_audiences: str = _setting("", "user list of each audience, 'CLV tier A=123,CLV tier B=456'")
    google_consent: str = _setting("", "granted, once customers have agreed to their data being used so")
    tiktok_base_url: str = _setting("https://business-api.tiktok.com", "TikTok's Business API")
    tiktok_access_token: str = _setting("", "access token for it", secret=True)
    tiktok_advertiser_id: str = _setting("", "TikTok's advertiser")
    tiktok_audiences: str = _setting("", "custom audience of each audience, 'CLV tier A=123,CLV tier B=456'")
    metrics_host: str = _setting("127.0.0.1", "address that a role serves its metrics on")
    metrics_port: int = _setting(0, "port of a role's metrics; 0: none")
    log_format: str = _setting("human", "human or json")
    log_level: str = _setting("info", "debug, info, warning or error")
    topic_retention: str = _setting(
        "", "how long topics keep records by the clock, clv.orders.v1=900d,…; others: for good, dead letters 30d"
    )
    table_retention: str = _setting("dead_letters=30d", "how long tables keep rows, scores=730d,…; others: for good")
    kafka_security_protocol: str = _setting("PLAINTEXT", "PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL")
    kafka_sasl_mechanism: str = _setting("PLAIN", "PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512")
    kafka_username: str = _setting("", "SASL user")
    kafka_password: str = _setting("", "SASL password", secret=True)
    kafka_ca_file: str = _setting("", "CA certificate of the brokers")

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> Settings:
        """Read the settings from ``CLV_*`` variables; unknown ``CLV_*`` names are refused, so that typos show.

        A secret may come from a file instead, which ``<NAME>_FILE`` names.
        """
        source = read_secret_files(os.environ if environ is None else environ, _secret_variables())
        known = {_variable(f.name): f for f in fields(cls)}
        values: dict[str, object] = {}
        older = {own: source[name] for name, own in _OLDER_NAMES.items() if name in source}
        for name, text in (older | {**source}).items():
            if not name.startswith("CLV_") or name in _OTHER_VARIABLES:
                continue
            if name not in known:
                raise ConfigError(f"{name} is not a setting", f"known: {', '.join(sorted(known))}")
            values[known[name].name] = _parse(name, known[name].name, text)
        settings = cls(**values)  # type: ignore[arg-type]
        settings.check()
        return settings

    def check(self) -> None:
        """Refuse values that cannot work; raise ``ConfigError`` naming the setting."""
        positive = (
            "partitions",
            "replication",
            "horizon_days",
            "duplicate_window_days",
            "far_ahead_days",
            "batch_records",
            "refit_days",
            "budget_days",
            "api_rate_per_second",
        )
        for name in positive:
            if getattr(self, name) < 1:
                raise ConfigError(f"{_variable(name)} must be at least 1, is {getattr(self, name)}")
        choices = {
            "store": ("memory", "rocksdb"),
            "ads_platform": ("file", "meta", "google", "tiktok"),
            "google_consent": ("", "granted"),
            "log_format": ("human", "json"),
            "log_level": ("debug", "info", "warning", "error"),
            "kafka_security_protocol": ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"),
            "kafka_sasl_mechanism": ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"),
        }
        for name, allowed in choices.items():
            if getattr(self, name) not in allowed:
                raise ConfigError(f"{_variable(name)} is {getattr(self, name)!r}", f"one of {', '.join(allowed)}")
        if not 0 <= self.api_port <= 65_535:
            raise ConfigError(f"CLV_API_PORT is {self.api_port}", "a port between 1 and 65535; 0 takes a free one")
        if not 0 <= self.metrics_port <= 65_535:
            raise ConfigError(f"CLV_METRICS_PORT is {self.metrics_port}", "a port between 1 and 65535; 0 for none")
        if self.allowed_lateness_ms < 0:
            raise ConfigError("CLV_ALLOWED_LATENESS is negative", "for example 24h or 0s")
        if not 0 < self.margin <= 1:
            raise ConfigError(f"CLV_MARGIN must be above 0 and at most 1, is {self.margin}")
        if self.duplicate_window_days * DAY_MS < self.allowed_lateness_ms:
            raise ConfigError(
                "CLV_DUPLICATE_WINDOW_DAYS is shorter than CLV_ALLOWED_LATENESS", "ids must outlast late events"
            )
        self._check_ads()
        self._check_budget(minor_digits(self.currency))
        self.fixed_cutoffs_minor()
        topic_retention_ms(self.topic_retention)
        table_retention_ms(self.table_retention)

    def fixed_cutoffs_minor(self) -> tuple[int, int] | None:
        """Return ``CLV_SEGMENT_CUTOFFS`` in minor units, the higher first; None where the trainer's percentiles rule.

        Raises
        ------
        ConfigError
            When it is not two amounts, the higher first.
        """
        if not self.segment_cutoffs:
            return None
        digits = minor_digits(self.currency)
        try:
            high, growth = (to_minor(part.strip(), digits) for part in self.segment_cutoffs.split(","))
        except (ValueError, InvalidEvent) as problem:
            raise ConfigError("CLV_SEGMENT_CUTOFFS is not two amounts", "for example 500,100") from problem
        if not high >= growth > 0:
            raise ConfigError("CLV_SEGMENT_CUTOFFS must be positive, the higher first", "for example 500,100")
        return high, growth

    def _check_ads(self) -> None:
        if not 0 < self.ads_most_moved_share <= 1:
            raise ConfigError(f"CLV_ADS_MOST_MOVED_SHARE must be above 0 and at most 1, is {self.ads_most_moved_share}")
        if self.identity_file and self.identity_table:
            raise ConfigError("CLV_IDENTITY_FILE and CLV_IDENTITY_TABLE are both set", "identities come from one place")

    def _check_budget(self, digits: int) -> None:
        try:
            total_minor = to_minor(self.budget_total, digits)
        except InvalidEvent as problem:
            raise ConfigError(f"CLV_BUDGET_TOTAL: {problem}", "for example 10000 or 2500.50") from problem
        if total_minor < 0:
            raise ConfigError("CLV_BUDGET_TOTAL is negative", "for example 10000")
        monthly_most(self.budget_monthly_most, digits)

    def to_env(self) -> dict[str, str]:
        """Return the ``CLV_*`` variables that give a child process these very settings.

        Examples
        --------
        >>> settings = Settings(currency="EUR", data_dir=Path("/tmp/clv"))
        >>> Settings.from_env(settings.to_env()) == settings
        True
        """
        values = {
            _variable(f.name): f"{getattr(self, f.name)}{'ms' if f.name.endswith('_ms') else ''}" for f in fields(self)
        }
        # Whatever files an environment beneath these names: the values here count.
        no_files = dict.fromkeys((name + SUFFIX for name in _secret_variables()), "")
        return values | no_files | {"CLV_DATA_DIR": str(self.data_dir.absolute())}

    @property
    def horizon_ms(self) -> int:
        """The horizon in milliseconds."""
        return self.horizon_days * DAY_MS

    @property
    def sql_url(self) -> str:
        """The database's URL: as set, else SQLite in the directory of models, by default the data directory."""
        folder = Path(self.model_dir or self.data_dir).expanduser().absolute()
        return self.database_url or f"sqlite:///{folder / 'clv.db'}"


# Names from before there were ours; where both are set, ours count.
_OLDER_NAMES = {
    "API_HOST": "CLV_API_HOST",
    "API_PORT": "CLV_API_PORT",
    "DATA_PATH": "CLV_DATA_DIR",
    "MODEL_DIR": "CLV_MODEL_DIR",
}
# Set for tests and tools, not for a deployment.
_OTHER_VARIABLES = frozenset({"CLV_TEST_POSTGRES_URL", "CLV_TEST_KAFKA", "CLV_REQUIRE_SERVERS", "CLV_BROKER_BIN"})


def _variable(name: str) -> str:
    return f"CLV_{name.removesuffix('_ms').upper()}"


def _secret_variables() -> list[str]:
    return [_variable(f.name) for f in fields(Settings) if f.metadata["secret"]]


def _parse(variable: str, name: str, text: str) -> object:
    default = Settings.__dataclass_fields__[name].default
    try:
        if name.endswith("_ms"):
            return _duration_ms(text)
        if isinstance(default, Path):
            return Path(text).expanduser()
        if isinstance(default, int):
            return _whole(text)
        if isinstance(default, float):
            return float(text)
    except ValueError as problem:
        hint = "for example 24h" if name.endswith("_ms") else f"default: {default}"
        raise ConfigError(f"{variable} is {text!r}: {problem}", hint) from problem
    return text


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError("not a whole number") from None


def _duration_ms(text: str) -> int:
    found = re.fullmatch(r"(\d+)\s*(ms|s|m|h|d)", text.strip())
    if not found:
        raise ValueError("a duration is a whole number and ms, s, m, h or d, e.g. 24h")
    return int(found[1]) * _UNITS_MS[found[2]]
