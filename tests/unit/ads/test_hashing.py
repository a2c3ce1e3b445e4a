"""Identifiers as platforms want them: the official vectors, and what holds for every one."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ads.hashing import GOOGLE, META, TIKTOK, BadIdentifier, HashRules, email_hash, phone_hash

PLATFORMS = pytest.mark.parametrize("rules", [META, GOOGLE, TIKTOK], ids=["meta", "google", "tiktok"])
_WORDS = st.text("abcdefghijklmnopqrstuvwxyz0123456789._+-", min_size=1, max_size=20)


def sha256(text: str) -> str:
    """Return what should come out for a normalised identifier."""
    return hashlib.sha256(text.encode()).hexdigest()


def test_the_official_vectors() -> None:
    """The two hashes that Meta's documentation prints."""
    email = "f1904cf1a9d73a55fa5de0ac823c4403ded71afd4c3248d00bdcd0866552bb79"
    phone = "1ef970831d7963307784fa8688e8fce101a15685d62aa765fed23f3a2c576a4e"
    assert (email, phone) == (email_hash("mary@example.com", META), phone_hash("15559876543", META, country="US"))


@pytest.mark.parametrize(
    ("rules", "expected"),
    [(META, "first.last@gmail.com"), (GOOGLE, "firstlast@gmail.com"), (TIKTOK, "first.last@gmail.com")],
    ids=["meta", "google", "tiktok"],
)
def test_dots_in_gmail_names_count_where_they_count(rules: HashRules, expected: str) -> None:
    """Google takes them out before it hashes, the others do not."""
    assert email_hash("First.Last@Gmail.com", rules) == sha256(expected)
    assert email_hash("first.last@example.com", rules) == sha256("first.last@example.com")


@pytest.mark.parametrize(
    ("rules", "expected"),
    [(META, "4930901820"), (GOOGLE, "+4930901820"), (TIKTOK, "+4930901820")],
    ids=["meta", "google", "tiktok"],
)
@pytest.mark.parametrize(
    ("written", "country"), [("030 901820", "de"), ("+49 (30) 90-18-20", None), ("0049 30 901820", None)]
)
def test_a_number_is_one_number_however_it_is_written(
    rules: HashRules, expected: str, written: str, country: str | None
) -> None:
    """National, international and with a prefix; with a plus sign where the platform wants one."""
    assert phone_hash(written, rules, country=country) == sha256(expected)


@PLATFORMS
@given(name=_WORDS, domain=_WORDS)
def test_case_and_blanks_around_an_address_do_not_matter(rules: HashRules, name: str, domain: str) -> None:
    """And the hash is that of an address in lower case."""
    address = f"{name}@{domain.strip('.')}x.example"
    if rules.drops_gmail_dots and not name.strip("."):
        return
    found = email_hash(address, rules)
    assert found == email_hash(f"\t{address.upper()} \n", rules) == sha256(address)


@PLATFORMS
@pytest.mark.parametrize(
    "email",
    [
        *("", " ", "mary", "mary@", "@example.com", "mary@example", "a@b@c.example", "ma ry@example.com"),
        *("a\x00@b.example", f"{'x' * 250}@b.example", sha256("mary@example.com")),
    ],
)
def test_what_is_no_address_is_refused(rules: HashRules, email: str) -> None:
    """A hash of it would match nobody, or be the hash of a hash; the message does not repeat it."""
    with pytest.raises(BadIdentifier, match="e-mail address") as refused:
        email_hash(email, rules)
    assert not email.strip() or email.strip() not in str(refused.value)


@PLATFORMS
@pytest.mark.parametrize("phone", ["", "+0000000000", "call me", "12", "+1 555", "030 901820", sha256("1")])
def test_what_is_no_number_is_refused(rules: HashRules, phone: str) -> None:
    """One such row has made a platform refuse the ten thousand around it."""
    with pytest.raises(BadIdentifier, match="telephone number"):
        phone_hash(phone, rules)


@PLATFORMS
@given(text=st.text(max_size=40))
def test_any_text_is_hashed_or_refused(rules: HashRules, text: str) -> None:
    """Nothing else comes out, whatever a file holds."""
    for make in (email_hash, phone_hash):
        try:
            found = make(text, rules)
        except BadIdentifier:
            continue
        assert len(found) == 64
        assert set(found) <= set("0123456789abcdef")
