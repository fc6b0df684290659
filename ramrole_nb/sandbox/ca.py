"""The sandbox's own certificate authority, made once per state folder, and the certificates it issues."""

from __future__ import annotations

import datetime as dt
import hashlib
import os
import ssl
import struct
from pathlib import Path

from ..errors import StateError

__all__ = ["ensure_ca", "ensure_java_truststore", "leaf_certificate"]

# How long a host's certificate is good; it lives in memory only, and is renewed there.
_LEAF_DAYS = 30


def ensure_ca(folder: Path) -> Path:
    """Return the CA certificate's path, making key and certificate on first use (key file mode 0600)."""
    certificate_path, key_path = folder / "ca.pem", folder / "ca-key.pem"
    if certificate_path.exists() and key_path.exists():
        return certificate_path
    # Imported here: only the first start of a state needs it.
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ramrole_nb SANDBOX CA (local, not trusted)")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=3650))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(
            x509.KeyUsage(
                digital_signature=False,
                content_commitment=False,
                key_encipherment=False,
                data_encipherment=False,
                key_agreement=False,
                key_cert_sign=True,
                crl_sign=True,
                encipher_only=False,
                decipher_only=False,
            ),
            critical=True,
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    with open(os.open(key_path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(pem)
    certificate_path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return certificate_path


def leaf_certificate(folder: Path, host: str) -> tuple[bytes, dt.datetime]:
    """Issue a certificate for a host; return fresh key, certificate and CA as PEM, and until when it is good."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    ca_pem = (folder / "ca.pem").read_bytes()
    ca = x509.load_pem_x509_certificate(ca_pem)
    ca_key = serialization.load_pem_private_key((folder / "ca-key.pem").read_bytes(), None)
    if not isinstance(ca_key, ec.EllipticCurvePrivateKey):
        raise StateError(
            f"{folder / 'ca-key.pem'} is not a key of ours.",
            next_step="remove it and ca.pem, and start the sandbox again",
        )
    key = ec.generate_private_key(ec.SECP256R1())
    now = dt.datetime.now(dt.UTC)
    until = now + dt.timedelta(days=_LEAF_DAYS)
    # A common name has room for 64 characters; what counts is the alternative name.
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host[:64])])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(ca.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(until)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False
        )
        .sign(ca_key, hashes.SHA256())
    )
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return pem + certificate.public_bytes(serialization.Encoding.PEM) + ca_pem, until


def ensure_java_truststore(ca_file: Path) -> Path:
    """Return a Java trust store (JKS, password `changeit`) beside the CA file that holds just the CA.

    Java takes no PEM. The format: https://github.com/openjdk/jdk, sun.security.provider.JavaKeyStore.
    """
    path = ca_file.with_suffix(".jks")
    certificate = ssl.PEM_cert_to_DER_cert(ca_file.read_text())

    def text(value: str) -> bytes:
        return struct.pack(">H", len(value)) + value.encode()

    made = int(ca_file.stat().st_mtime * 1000)
    content = struct.pack(">III", 0xFEEDFEED, 2, 1) + struct.pack(">I", 2) + text("ramrole-sandbox")
    content += struct.pack(">Q", made) + text("X.509") + struct.pack(">I", len(certificate)) + certificate
    sealed = "changeit".encode("utf-16-be") + b"Mighty Aphrodite" + content
    content += hashlib.sha1(sealed, usedforsecurity=False).digest()
    if not path.exists() or path.read_bytes() != content:
        fresh = path.with_name(f".{path.name}.{os.getpid()}")
        fresh.write_bytes(content)
        fresh.replace(path)
    return path
