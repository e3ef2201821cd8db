"""What is checked of the client's settings before a client sees them: types, files, and what needs what.

The client library says of a missing file "BIO lib" and of a setting that another lacks nothing at all. Here each names
itself and its cause; a value is never said, since it may be a secret.
"""

import math
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from stream.client.client_names import CHOICES, TOKEN_CALLBACK, first_names

_PEM_FILES = (
    "ssl.ca.location",
    "ssl.certificate.location",
    "ssl.key.location",
    "ssl.crl.location",
    "https.ca.location",
)
_FILES = (*_PEM_FILES, "ssl.keystore.location", "sasl.kerberos.keytab", "sasl.oauthbearer.assertion.private.key.file")
_PEM_TEXTS = ("ssl.ca.pem", "ssl.certificate.pem", "ssl.key.pem", "https.ca.pem")
_NUMBERS = (".ms", ".bytes", ".kbytes", ".messages", ".size", ".level", ".s")
_NUMBER = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,9})?")
_LARGEST = 2**31 - 1
_BEGIN = b"-----BEGIN "
_MOST_BYTES = 4 << 20
_PROBED = "probe"  # the client looks where operating systems keep their certificates
_TLS = ("ssl.ca.", "ssl.certificate.", "ssl.key.", "ssl.keystore.", "ssl.crl.")
_TWO_WORDS = "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"
_LOGIN_NAMES = {"sasl.mechanism", "sasl.username", "sasl.password", TOKEN_CALLBACK}
_OIDC = ("sasl.oauthbearer.token.endpoint.url", "sasl.oauthbearer.client.id", "sasl.oauthbearer.client.secret")


def client_settings(given: Mapping[str, Any]) -> dict[str, str]:
    """Return the client's settings as it takes them, from what a TOML file, JSON or a flag gave.

    Tables are names with dots; numbers and booleans become the text that the client reads.

    Raises:
        ValueError: the first wrong one; says its name, the cause and what is expected.

    """
    if not isinstance(given, Mapping):
        raise ValueError(  # noqa: TRY004 - pydantic makes a message of it
            "expected a table of names and values"
        )
    client = first_names(dict(_flat(given)))
    for name, value in client.items():
        if name.endswith(_NUMBERS) and not _is_number(value):
            raise ValueError(f"{name}: expected a number without a unit, below 2147483648")
    for name, check in _CHECKS.items():
        if name in client:
            check(name, client[name])
    for problem in _lacking(client):
        raise ValueError(problem)
    return client


def _flat(given: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    for key, value in given.items():
        name = f"{before}{key}"
        if isinstance(value, Mapping):
            yield from _flat(value, f"{name}.")
        elif isinstance(value, bool):
            yield name, str(value).lower()
        elif isinstance(value, (str, int)) or (isinstance(value, float) and math.isfinite(value)):
            yield _sound(name, name), _sound(name, str(value))
        else:
            raise ValueError(f"{name}: expected text, a number, true or false; a list is one text with commas")


def _sound(name: str, text: str) -> str:
    if "\0" in text:
        raise ValueError(f"{name!a}: expected text without the character U+0000")
    return text


def _is_number(value: str) -> bool:
    return _NUMBER.fullmatch(value.strip()) is not None and abs(float(value)) <= _LARGEST


def _is_choice(name: str, value: str) -> None:
    choices = CHOICES[name]
    if value.upper() == "GSSAPI":
        raise ValueError(f"{name}: Kerberos (GSSAPI) is not in this build of the client; expected {_or(choices)}")
    if value.upper() not in {choice.upper() for choice in choices}:
        raise ValueError(f"{name}: expected {_or(choices)}")


def _is_file(name: str, value: str) -> None:
    path = Path(value)
    if name == "ssl.ca.location" and (value == _PROBED or path.is_dir()):
        return
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES)
    except (OSError, ValueError) as error:
        cause = "no such file" if isinstance(error, FileNotFoundError) else _why(error)
        raise ValueError(f"{name}: {cause}. Expected the path of a file that this user may read") from None
    _is_pem_text(name, content) if name in _PEM_FILES else None


def _why(error: OSError | ValueError) -> str:
    return f"cannot be read ({(error.strerror if isinstance(error, OSError) else None) or 'no path'})"


def _is_pem(name: str, value: str) -> None:
    _is_pem_text(name, value.encode())


def _is_pem_text(name: str, content: bytes) -> None:
    if not content.strip():
        raise ValueError(f"{name}: is empty. Expected PEM")
    if _BEGIN not in content:
        raise ValueError(
            f"{name}: is not PEM (text with {_BEGIN.decode()}...). Of DER or PKCS#12 make PEM with `openssl x509` or "
            "`openssl pkcs12`; a PKCS#12 file as it is goes into ssl.keystore.location"
        )
    private, certificate = b" PRIVATE KEY-----" in content, b"BEGIN CERTIFICATE-----" in content
    if name.startswith("ssl.key.") and not private:
        raise ValueError(f"{name}: holds no private key. Expected PEM with BEGIN PRIVATE KEY")
    if name.startswith(("ssl.certificate.", "ssl.ca.", "https.ca.")) and not (
        certificate or b"TRUSTED CERTIFICATE" in content
    ):
        raise ValueError(f"{name}: holds no certificate. Expected PEM with BEGIN CERTIFICATE")


def _is_callback(name: str, value: str) -> None:
    module, _, function = value.partition(":")
    if not all(part.isidentifier() for part in (*module.split("."), *function.split("."))):
        raise ValueError(f"{name}: expected module:function, such as my_tokens:msk_token")


_CHECKS: dict[str, Callable[[str, str], None]] = {
    **dict.fromkeys(CHOICES, _is_choice),
    **dict.fromkeys(_FILES, _is_file),
    **dict.fromkeys(_PEM_TEXTS, _is_pem),
    TOKEN_CALLBACK: _is_callback,
}


def _lacking(client: Mapping[str, str]) -> Iterator[str]:
    protocol = client.get("security.protocol", "PLAINTEXT").upper()
    tls = next((name for name in client if name.startswith(_TLS)), None)
    if tls is not None and not protocol.endswith("SSL"):
        yield f"{tls}: has no effect without security.protocol SSL or SASL_SSL, so nothing would be encrypted"
    yield from _lacking_for_tls(client)
    sasl = next((name for name in client if name in _LOGIN_NAMES or name.startswith("sasl.oauthbearer.")), None)
    if sasl is not None and not protocol.startswith("SASL"):
        yield f"{sasl}: has no effect without security.protocol SASL_SSL or SASL_PLAINTEXT"
    if protocol.startswith("SASL"):
        yield from _lacking_for_sasl(client)


def _lacking_for_tls(client: Mapping[str, str]) -> Iterator[str]:
    have = {kind: next((n for n in client if n in {f"ssl.{kind}.location", f"ssl.{kind}.pem"}), None) for kind in _PAIR}
    for kind, other in zip(_PAIR, reversed(_PAIR), strict=True):
        if have[kind] and not have[other]:
            yield f"{have[kind]}: needs ssl.{other}.location (or ssl.{other}.pem) as well"
    if "ssl.keystore.location" in client and "ssl.keystore.password" not in client:
        yield "ssl.keystore.location: needs ssl.keystore.password"
    if have["key"] and "ssl.key.password" not in client and _encrypted(client[have["key"]], have["key"]):
        yield f"{have['key']}: the key is encrypted. It needs ssl.key.password"


_PAIR = ("certificate", "key")


def _encrypted(value: str, name: str) -> bool:
    return b"ENCRYPTED" in (Path(value).read_bytes() if name.endswith("location") else value.encode())


def _lacking_for_sasl(client: Mapping[str, str]) -> Iterator[str]:
    mechanism = client.get("sasl.mechanism", "").upper()
    if not mechanism:
        yield f"security.protocol: SASL needs sasl.mechanism ({_or(CHOICES['sasl.mechanism'])})"
    if mechanism in _TWO_WORDS:
        yield from (f"sasl.mechanism: {mechanism} needs {n}" for n in _LOGIN if not client.get(n))
    if mechanism != "OAUTHBEARER":
        wrong = next((n for n in client if n.startswith("sasl.oauthbearer.") or n == TOKEN_CALLBACK), None)
        if wrong is not None:
            yield f"{wrong}: has no effect without sasl.mechanism OAUTHBEARER"
    elif client.get("sasl.oauthbearer.method", "").lower() == "oidc":
        yield from _lacking_for_oidc(client)
    elif TOKEN_CALLBACK not in client and "enable.sasl.oauthbearer.unsecure.jwt" not in client:
        yield f"sasl.mechanism: OAUTHBEARER needs {TOKEN_CALLBACK} (module:function) or sasl.oauthbearer.method oidc"


_LOGIN = ("sasl.username", "sasl.password")


def _lacking_for_oidc(client: Mapping[str, str]) -> Iterator[str]:
    if TOKEN_CALLBACK in client:
        yield f"{TOKEN_CALLBACK}: has no effect with sasl.oauthbearer.method oidc; give one of them"
    url = client.get(_OIDC[0], "")
    needed = _OIDC if not any("assertion" in name or "metadata" in name for name in client) else ()
    yield from (f"sasl.oauthbearer.method: oidc needs {name}" for name in needed if not client.get(name))
    if url and not url.startswith(("https://", "http://")):
        yield f"{_OIDC[0]}: expected an address that begins with https://"


def _or(choices: tuple[str, ...]) -> str:
    return f"{', '.join(choices[:-1])} or {choices[-1]}"
