"""Wrong settings of the client: each names itself and its cause, before or as the client is built; never a value."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.errors import SettingsError
from stream.client.client import Consumer, Producer, build
from stream.client.client_names import ALIASES, CHOICES, OWN
from stream.settings.client_settings import consumer_config, producer_config
from stream.settings.settings import ConnectionSettings, StreamSettings, load_settings

TLS = {"security.protocol": "SSL"}
SASL = {"security.protocol": "SASL_PLAINTEXT"}
TOKEN = {**SASL, "sasl.mechanism": "OAUTHBEARER"}
SECRET = "open-sesame-7351"  # noqa: S105


@pytest.fixture(scope="module")
def pem(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two certificates with their keys, one key once more under a password, a PKCS#12 file and files that are none."""
    folder = tmp_path_factory.mktemp("pem")
    new = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
    for command in (
        f"{new} -keyout a.key -out a.pem -subj /CN=a",
        f"{new} -keyout b.key -out b.pem -subj /CN=b",
        f"pkey -in a.key -aes128 -passout pass:{SECRET} -out locked.key",
        f"pkcs12 -export -in a.pem -inkey a.key -passout pass:{SECRET} -out a.p12",
        "x509 -in a.pem -outform DER -out a.der",
    ):
        subprocess.run(["openssl", *command.split()], cwd=folder, check=True, capture_output=True)
    (folder / "empty.pem").write_text("")
    return folder


def said(client: Any, kind: Any = Producer) -> str:
    """What is said of these settings, by reading them or by the client."""
    with pytest.raises(SettingsError) as caught:  # noqa: PT012 - either may say it
        settings = load_settings(ConnectionSettings, {"brokers": "127.0.0.1:1", "client": client}, None)
        build(kind, producer_config(settings.connection))
    assert SECRET not in str(caught.value)
    return str(caught.value)


def files(folder: Path, **names: str) -> dict[str, str]:
    return {f"ssl.{name.replace('_', '.')}.location": str(folder / file) for name, file in names.items()}


@pytest.mark.parametrize(
    ("client", "name", "cause"),
    [
        ({"no.such": SECRET}, "no.such", "knows no such setting"),
        ({"linger.ms": "5s"}, "linger.ms", "a number without a unit"),
        ({"socket.timeout.ms": 99_999_999_999}, "socket.timeout.ms", "a number"),
        ({"socket.timeout.ms": True}, "socket.timeout.ms", "a number"),
        ({"linger.ms": -1}, "linger.ms", "from 0 to 900000"),
        ({"queue.buffering.max.ms": -1}, "queue.buffering.max.ms", "from 0 to 900000"),
        ({"socket.keepalive.enable": SECRET}, "socket.keepalive.enable", "true or false"),
        ({"debug": SECRET}, "debug", "none that the client knows"),
        ({"partitioner": SECRET}, "partitioner", "none that the client knows"),
        ({"compression.codec": SECRET}, "compression.type", "none, gzip"),
        ({"client.id": ["a"]}, "client.id", "expected text"),
        ({"client.id": None}, "client.id", "expected text"),
        ({"client.id": f"{SECRET}\0"}, "client.id", "U+0000"),
        (SECRET, "client", "expected a table"),
        ({"plugin.library.paths": SECRET}, "plugin.library.paths", "No such file"),
        ({"security.protocol": SECRET}, "security.protocol", "PLAINTEXT, SSL"),
        ({**TLS, "ssl.cipher.suites": SECRET}, "ssl.cipher.suites", "no cipher match"),
        ({"ssl.ca.pem": SECRET}, "ssl.ca.pem", "is not PEM"),
        (SASL, "security.protocol", "needs sasl.mechanism"),
        ({**SASL, "sasl.mechanism": "GSSAPI"}, "sasl.mechanism", "Kerberos"),
        ({**SASL, "sasl.mechanisms": SECRET}, "sasl.mechanism", "PLAIN, SCRAM"),
        ({**SASL, "sasl.mechanism": "PLAIN", "sasl.username": SECRET}, "sasl.mechanism", "needs sasl.password"),
        ({**SASL, "sasl.mechanism": "SCRAM-SHA-512", "sasl.password": SECRET}, "sasl.mechanism", "sasl.username"),
        ({"sasl.password": SECRET}, "sasl.password", "has no effect without security.protocol"),
        (TOKEN, "sasl.mechanism", "needs oauth_cb (module:function) or sasl.oauthbearer.method oidc"),
        ({**TOKEN, "sasl.oauthbearer.method": "oidc"}, "sasl.oauthbearer.method", "needs sasl.oauthbearer.token"),
        ({**TOKEN, "sasl.oauthbearer.method": SECRET}, "sasl.oauthbearer.method", "default or oidc"),
        ({**SASL, "sasl.mechanism": "PLAIN", **dict.fromkeys(("sasl.username", "sasl.password", "oauth_cb"), "a:b")},
         "oauth_cb", "without sasl.mechanism OAUTHBEARER"),
        ({**TOKEN, "oauth_cb": "no-function"}, "oauth_cb", "module:function"),
        ({**TOKEN, "oauth_cb": "no_such_module:token"}, "oauth_cb", "no module named no_such_module"),
        ({**TOKEN, "oauth_cb": "json:no_such"}, "oauth_cb", "has no no_such"),
        ({**TOKEN, "oauth_cb": "json:__name__"}, "oauth_cb", "is no function"),
        ({"error_cb": "json:loads"}, "error_cb", "only programs"),
        ({"bootstrap.servers": "elsewhere:1"}, "bootstrap.servers", "the setting brokers"),
        ({"acks": 1, "request.required.acks": 1}, "acks", "belongs to the worker"),
        ({"compression.type": "lz4", "compression.codec": "zstd"}, "compression.codec", "two names of one setting"),
        ({"test.mock.num.brokers": 3}, "test.mock.num.brokers", "belongs to the worker"),
    ],
)  # fmt: skip
def test_each_wrong_setting_names_itself_and_its_cause(client: Any, name: str, cause: str) -> None:
    text = said(client)
    assert name in text
    assert cause in text


@pytest.mark.process
def test_each_wrong_file_names_its_setting_and_cause(pem: Path) -> None:
    pair = files(pem, certificate="a.pem", key="a.key")
    store = {**TLS, **files(pem, keystore="a.p12")}
    for client, name, cause in (
        ({**TLS, **files(pem, ca="no-such.pem")}, "ssl.ca.location", "no such file"),
        ({**TLS, **files(pem, ca="a.der")}, "ssl.ca.location", "is not PEM"),
        ({**TLS, **files(pem, ca="empty.pem")}, "ssl.ca.location", "is empty"),
        ({**TLS, **files(pem, ca="a.key")}, "ssl.ca.location", "holds no certificate"),
        (files(pem, ca="a.pem"), "ssl.ca.location", "nothing would be encrypted"),
        ({**TLS, **files(pem, certificate="a.pem")}, "ssl.certificate.location", "needs ssl.key.location"),
        ({**TLS, **files(pem, key="a.key")}, "ssl.key.location", "needs ssl.certificate.location"),
        ({**TLS, **pair, **files(pem, key="a.pem")}, "ssl.key.location", "holds no private key"),
        ({**TLS, **pair, **files(pem, key="b.key")}, "ssl.key.location", "does not belong to the certificate"),
        ({**TLS, **pair, **files(pem, key="locked.key")}, "ssl.key.location", "needs ssl.key.password"),
        ({**TLS, **pair, **files(pem, key="locked.key"), "ssl.key.password": "wrong"}, "ssl.key", "may not fit"),
        ({**TLS, **pair, **files(pem, key="")}, "ssl.key.location", "cannot be read"),
        (store, "ssl.keystore.location", "needs ssl.keystore.password"),
        ({**store, "ssl.keystore.password": "wrong"}, "ssl.keystore.location", "does not fit"),
        ({**store, **files(pem, keystore="a.pem"), "ssl.keystore.password": SECRET}, "keystore.location", "PKCS#12"),
    ):
        text = said(client)
        assert name in text, text
        assert cause in text, text
    for client in ({**TLS, **pair}, {**store, "ssl.keystore.password": SECRET}, {**TLS, **files(pem, ca="")}):
        load_settings(ConnectionSettings, {"brokers": "127.0.0.1:1", "client": client}, None)


def test_no_second_name_gets_past_the_guards() -> None:
    second = {name: first for name, first in ALIASES.items() if first in OWN}
    for name in (*OWN, *second):
        assert "belongs to the worker" in said({name: "1"})


def test_the_second_name_of_a_tunable_setting_counts_and_is_not_overruled() -> None:
    client = {"message.timeout.ms": 9_000, "compression.codec": "gzip"}
    settings = load_settings(ConnectionSettings, {"brokers": "127.0.0.1:1", "client": client}, None)
    config = producer_config(settings.connection)
    assert (config["delivery.timeout.ms"], config["compression.type"]) == ("9000", "gzip")
    assert not ALIASES.keys() & config.keys()


def test_a_file_writes_numbers_booleans_and_tables_as_toml_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "stream.toml"
    file.write_text(
        'brokers = "127.0.0.1:1"\n[client]\nsocket.timeout.ms = 10_000\n"linger.ms" = 0.5\n'
        'socket.keepalive.enable = true\n"security.protocol" = "plaintext"\n'
    )
    settings = load_settings(ConnectionSettings, {}, file)
    build(Producer, producer_config(settings.connection))
    values = {"socket.timeout.ms": "10000", "linger.ms": "0.5", "socket.keepalive.enable": "true"}
    assert settings.client == {**values, "security.protocol": "plaintext"}
    file.write_text(f'brokers = "{SECRET}\n')
    with pytest.raises(SettingsError, match=r"stream.toml: not readable as TOML in UTF-8 at line 1") as caught:
        load_settings(ConnectionSettings, {}, file)
    assert SECRET not in str(caught.value)
    monkeypatch.setenv("CREDIT_STREAM_CLIENT", SECRET)
    with pytest.raises(SettingsError, match="CREDIT_STREAM_CLIENT: expected one JSON object"):
        load_settings(ConnectionSettings, {"brokers": "a"}, None)
    monkeypatch.setenv("CREDIT_STREAM_CLIENT", json.dumps({"socket.timeout.ms": 9}))
    settings = load_settings(ConnectionSettings, {"brokers": "a"}, None)
    with pytest.raises(SettingsError, match=r"socket.timeout.ms: expected a number from 10 to 300000"):
        build(Producer, producer_config(settings.connection))


@pytest.mark.parametrize("brokers", ["", ",", "a:b", "a:99999", "http://a:9092", "a b:1", "a:1,,b:1", "a:1;b:1"])
def test_addresses_that_lead_nowhere_are_refused(brokers: str) -> None:
    with pytest.raises(SettingsError, match="brokers"):
        load_settings(ConnectionSettings, {"brokers": brokers}, None)


def test_settings_of_the_other_group_protocol_name_themselves() -> None:
    flags = {"brokers": "127.0.0.1:1", "bundle": Path(), "group_protocol": "consumer"}
    settings = load_settings(StreamSettings, {**flags, "client": {"session.timeout.ms": 6000}}, None)
    with pytest.raises(SettingsError, match=r"session.timeout.ms: .*is not supported for `group.protocol=consumer`"):
        build(Consumer, consumer_config(settings, "w", embedded=False))


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=9), inner, max_size=2),
    max_leaves=4,
)
names = st.sampled_from(
    [*ALIASES, *OWN, *CHOICES, "ssl.ca.location", "ssl.key.pem", "oauth_cb", "linger.ms", "sasl.username"]
)


@given(st.dictionaries(names | st.text(max_size=9), values, max_size=4))
def test_whatever_is_given_becomes_settings_or_an_error_of_ours(client: dict[str, Any]) -> None:
    try:
        settings = load_settings(ConnectionSettings, {"brokers": "127.0.0.1:1", "client": client}, None)
        build(Producer, producer_config(settings.connection))
    except SettingsError:
        return
    assert all(isinstance(value, str) for value in settings.client.values())
