"""What identifies a person, as an ad platform wants to hear it: normalised by the platform's rules, then hashed.

Each platform has rules of its own, so that the same address may hash differently: a hash is made where it is sent and
never kept as the truth about anybody. Sources: Meta Marketing API, customer-file audiences; Google Data Manager API,
formatting of user data; TikTok help, customer-file audiences.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from enum import StrEnum
from typing import NamedTuple

import phonenumbers

_MOST_EMAIL_CHARACTERS = 254
_HASH = re.compile(r"[0-9a-fA-F]{64}")
_GMAIL = ("gmail.com", "googlemail.com")


class PhoneFormat(StrEnum):
    """How a platform wants a telephone number before it is hashed."""

    DIGITS = "digits"
    """Country code and number, nothing else."""
    E164 = "e164"
    """The same behind a plus sign."""


class HashRules(NamedTuple):
    """What a platform does differently from the others."""

    phone_format: PhoneFormat
    drops_gmail_dots: bool = False


META = HashRules(PhoneFormat.DIGITS)
GOOGLE = HashRules(PhoneFormat.E164, drops_gmail_dots=True)
TIKTOK = HashRules(PhoneFormat.E164)
"""Unverified: an older page of TikTok's asks for digits alone, the newer one for E.164."""


class BadIdentifier(ValueError):
    """An identifier that no platform could match; the message says what is wrong and not what it was."""


def email_hash(email: str, rules: HashRules) -> str:
    """Return the SHA-256 of an e-mail address, 64 lower-case hexadecimal digits.

    Raises
    ------
    BadIdentifier
        When it is no address, or has been hashed before.

    Examples
    --------
    >>> email_hash(" Mary@Example.com ", META)[:8]
    'f1904cf1'
    """
    address = unicodedata.normalize("NFC", email).strip().lower()
    if _HASH.fullmatch(address):
        raise BadIdentifier("the e-mail address is a hash already; give the address itself")
    name, at, domain = address.rpartition("@")
    is_whole = name and at and "." in domain.strip(".") and "@" not in name
    if not is_whole or any(c.isspace() or not c.isprintable() for c in address):
        raise BadIdentifier("the e-mail address has not the form name@domain")
    if len(address) > _MOST_EMAIL_CHARACTERS:
        raise BadIdentifier(f"the e-mail address is longer than {_MOST_EMAIL_CHARACTERS} characters")
    if rules.drops_gmail_dots and domain in _GMAIL:
        name = name.replace(".", "")
        if not name:
            raise BadIdentifier("the e-mail address has not the form name@domain")
    return _sha256(f"{name}@{domain}")


def phone_hash(phone: str, rules: HashRules, *, country: str | None = None) -> str:
    """Return the SHA-256 of a telephone number, 64 lower-case hexadecimal digits.

    Parameters
    ----------
    phone
        As people write it; with its country code behind ``+`` or ``00`` where no country is given.
    rules
        The platform's.
    country
        ISO 3166-1 alpha-2 code of the country in which the number is dialled as it is written.

    Raises
    ------
    BadIdentifier
        When no telephone can have that number, or the country code is missing.

    Examples
    --------
    >>> phone_hash("(555) 987-6543", META, country="US") == phone_hash("+1 555 987 6543", META)
    True
    """
    if _HASH.fullmatch(phone.strip()):
        raise BadIdentifier("the telephone number is a hash already; give the number itself")
    digits = phone.strip()
    if digits.startswith("00"):
        digits = "+" + digits.lstrip("0")
    try:
        number = phonenumbers.parse(digits, country.upper() if country else None)
    except phonenumbers.NumberParseException as problem:
        hint = "" if country or digits.startswith("+") else ": its country code is missing"
        raise BadIdentifier(f"the telephone number cannot be read{hint}") from problem
    if not phonenumbers.is_possible_number(number):
        raise BadIdentifier("the telephone number is too short or too long for its country")
    written = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    return _sha256(written if rules.phone_format is PhoneFormat.E164 else written.removeprefix("+"))


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
