"""Certificates for servers of tests, of an authority that nobody else trusts."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import trustme
from cryptography.hazmat.primitives import serialization

if TYPE_CHECKING:
    from pathlib import Path


class Certificates(NamedTuple):
    """Files: the authority's certificate, another's that signed nothing, and a server's key with its certificate."""

    authority: Path
    stranger: Path
    server: Path


def make_certificates(folder: Path) -> Certificates:
    """Write certificates for ``localhost`` and 127.0.0.1."""
    authority, files = trustme.CA(), Certificates(*(folder / f"{name}.pem" for name in Certificates._fields))
    authority.cert_pem.write_to_path(files.authority)
    trustme.CA().cert_pem.write_to_path(files.stranger)
    issued = authority.issue_cert("localhost", "127.0.0.1")
    key = serialization.load_pem_private_key(issued.private_key_pem.bytes(), password=None)
    # Kafka reads a key in this form alone.
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    files.server.write_bytes(key.private_bytes(*form) + b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    return files
