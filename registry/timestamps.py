"""Time stamps of a third party, so that the owner of a key cannot date a signature back (RFC 3161).

The only user of `rfc3161_client` (extra `sign`). Source of the exchange over HTTP: RFC 3161, section 3.4.
"""

import urllib.error
import urllib.request
from datetime import datetime
from http.client import HTTPException
from pathlib import Path

from cryptography import x509
from rfc3161_client import TimestampRequestBuilder, VerificationError, VerifierBuilder, decode_timestamp_response

from features.errors import DeliveryError, SettingsError
from registry.envelope import NotTrustedError

__all__ = ["stamp", "stamped_at"]

_WAIT_S = 30.0
_MOST_BYTES = 1 << 20
_TYPE = "application/timestamp-query"


def stamp(content: bytes, url: str) -> bytes:
    """Have an authority say that this content existed; return its answer, with the certificate that signed it.

    Raises:
        SettingsError: the URL is none of HTTP.
        DeliveryError: the authority does not answer, or grants nothing.

    """
    if not url.startswith(("https://", "http://")):
        raise SettingsError(f"--tsa {url}: expected https://... or http://..., as the authority names it.")
    asked = TimestampRequestBuilder().data(content).build()
    request = urllib.request.Request(url, asked.as_bytes(), {"Content-Type": _TYPE})  # noqa: S310 - checked above
    try:
        with urllib.request.urlopen(request, timeout=_WAIT_S) as answer:  # noqa: S310
            token: bytes = answer.read(_MOST_BYTES)
    except (urllib.error.URLError, HTTPException, OSError) as error:
        raise DeliveryError(f"{url}: the time-stamp authority does not answer ({type(error).__name__}).") from error
    try:
        nonce = decode_timestamp_response(token).tst_info.nonce
    except ValueError as error:
        raise DeliveryError(f"{url}: the time-stamp authority granted nothing.") from error
    if nonce != asked.nonce:
        raise DeliveryError(f"{url}: the time-stamp authority answered another question.")
    return token


def stamped_at(token: bytes, content: bytes, roots: Path) -> datetime:
    """Return when an authority, whose certificate one of these roots stands for, saw this content.

    Raises:
        SettingsError: the roots cannot be read.
        NotTrustedError: the time stamp is of other content, or none of the roots stands for it.

    """
    try:
        certificates = x509.load_pem_x509_certificates(roots.read_bytes())
    except OSError as error:
        raise SettingsError(f"{roots}: cannot be read ({error.strerror}). Expected certificates, .pem.") from error
    except ValueError as error:
        raise SettingsError(f"{roots}: holds no certificates in PEM form.") from error
    verifier = VerifierBuilder(roots=certificates).build()
    try:
        answer = decode_timestamp_response(token)
        verifier.verify_message(answer, content)
    except (VerificationError, ValueError) as error:
        raise NotTrustedError("its time stamp is not of this signature, or of no authority that is trusted") from error
    return answer.tst_info.gen_time
