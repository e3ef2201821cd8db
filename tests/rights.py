"""A broker on which each client may do only what it was given: names come by tokens that a function of ours makes."""

import base64
import json
import time
from pathlib import Path

from tests.kafka_broker import KafkaServer
from tests.waiting import free_port

LOGIN = "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule"
VALIDATOR = (
    "org.apache.kafka.common.security.oauthbearer.internals.unsecured.OAuthBearerUnsecuredValidatorCallbackHandler"
)


def _part(value: dict[str, object]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def token(config: str) -> tuple[str, float]:
    """What a function of a user's returns: a token for the name in sasl.oauthbearer.config, not signed."""
    now = time.time()
    text = f"{_part({'alg': 'none'})}.{_part({'sub': config, 'iat': now, 'exp': now + 3600})}."
    return text, now + 3600


def expired(config: str) -> tuple[str, float]:
    """One that forgets to fetch a new token."""
    return token(config)[0], 1.0


def failing(_config: str) -> tuple[str, float]:
    """One whose provider is away."""
    raise OSError("a secret in the text of an error")


def in_milliseconds(config: str) -> tuple[str, float]:
    """One that mistakes the unit, as signers for cloud services invite to."""
    text, seconds = token(config)
    return text, seconds * 1000


def client(name: str, function: str = "token") -> dict[str, str]:
    """The client settings of somebody with this name."""
    return {
        "security.protocol": "SASL_PLAINTEXT",
        "sasl.mechanism": "OAUTHBEARER",
        "oauth_cb": f"tests.rights:{function}",
        "sasl.oauthbearer.config": name,
    }


def guarded_broker(folder: Path) -> tuple[KafkaServer, str]:
    """A broker with an authorizer, and the address where clients need a token; without one they are superusers."""
    folder.mkdir(parents=True, exist_ok=True)
    server, port = KafkaServer(folder / "kafka", extra=folder / "rights.properties"), free_port()
    (folder / "rights.properties").write_text(
        f"listeners=PLAINTEXT://{server.address},CONTROLLER://127.0.0.1:{server.controller_port},"
        f"RIGHTS://127.0.0.1:{port}\nadvertised.listeners=PLAINTEXT://{server.address},RIGHTS://127.0.0.1:{port}\n"
        "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,RIGHTS:SASL_PLAINTEXT\n"
        "sasl.enabled.mechanisms=OAUTHBEARER\nbroker.session.timeout.ms=120000\n"
        f"listener.name.rights.oauthbearer.sasl.jaas.config={LOGIN} required;\n"
        f"listener.name.rights.oauthbearer.sasl.server.callback.handler.class={VALIDATOR}\n"
        "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer\n"
        "super.users=User:ANONYMOUS\nallow.everyone.if.no.acl.found=false\n"
    )
    return server.start(), f"127.0.0.1:{port}"
