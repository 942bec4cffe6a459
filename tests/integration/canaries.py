"""Secrets that would be known again, in every place of the configuration and of a request where one can stand."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from service.auth.keys import hashed

CONFIGURATION = """
server:
  memory: 128MiB
  drain_timeout: 1s
  auth:
    keys_variable: API_KEYS
    pepper_variable: API_PEPPER
    jwt: {issuer: "http://127.0.0.1:1", audience: penstock}
admin: {token: "${ADMIN_TOKEN}"}
aws: {region: eu-west-1, endpoint_url: "http://aws.invalid:4566"}
journal: {path: journal, volume: ephemeral}
logs: {form: json, level: debug, sample_rejected: 1}
tracing: {exporter: otlp, endpoint: "http://127.0.0.1:1", headers: {authorization: "${COLLECTOR}"}, sample: 1}
sinks:
  kept: {type: file, path: kept}
  dead: {type: file, path: dead}
  stream: {type: kinesis, stream: orders, patience: 2s, call_timeout: 1s}
  lake: {type: firehose, delivery_stream: orders, patience: 2s, call_timeout: 1s}
  queue: {type: sqs, queue: orders, patience: 2s, call_timeout: 1s}
  scram: {type: kafka, brokers: "127.0.0.1:1", topic: t, tls: false, patience: 2s, call_timeout: 1s,
          auth: {scram: {username: u, password: "${SCRAM}"}}}
  plain: {type: kafka, brokers: "127.0.0.1:1", topic: t, tls: false, patience: 2s, call_timeout: 1s,
          auth: {plain: {username: u, password_file: plain.txt}}}
  oidc: {type: kafka, brokers: "127.0.0.1:1", topic: t, tls: false, patience: 2s, call_timeout: 1s,
         auth: {oauthbearer: {token_url: "http://127.0.0.1:1/token", client_id: c, client_secret: "${OIDC}"}}}
  raw: {type: kafka, brokers: "127.0.0.1:1", topic: t, patience: 2s, call_timeout: 1s,
        properties: {security.protocol: sasl_plaintext, sasl.mechanisms: PLAIN, sasl.username: u,
                     sasl.password: "${RAW}"}}
  hook: {type: "examples.custom_sink.webhook:Webhook", url: "http://hook:${HOOK}@127.0.0.1:1/"}
routes:
  orders:
    schema: {type: jsonschema, file: schema.json}
    to: [kept]
    dead_letter: {sink: dead, invalid: true}
  stored: {ack: stored, to: [kept], dead_letter: dead}
  away: {to: [kept, {sink: stream, required: false}, {sink: lake, required: false}, {sink: queue, required: false},
              {sink: scram, required: false}, {sink: plain, required: false}, {sink: oidc, required: false},
              {sink: raw, required: false}, {sink: hook, required: false}], dead_letter: dead}
sources:
  msk: {type: kafka, brokers: "127.0.0.1:1", tls: false, group: g, topics: {t: orders},
        auth: {scram: {username: u, password: "${SOURCE}"}}}
  fed: {type: firehose, route: orders, max_body: 1MiB, access_keys: ["${FED}"]}
"""

MISTAKEN = """
server: {auth: {keys_variable: API_KEYS, pepper: "${API_PEPPER}"}, port: "${ADMIN_TOKEN}"}
admin: {token: ["${ADMIN_TOKEN}"]}
aws: {region: eu-west-1, endpoint_url: "http://user:${COLLECTOR}@aws.invalid:4566"}
tracing: {exporter: otlp, endpoint: "http://user:${COLLECTOR}@127.0.0.1:1", headers: ["${COLLECTOR}"]}
sinks:
  scram: {type: kafka, brokers: "127.0.0.1:1", topic: t, tls: false,
          auth: {scram: {username: u, password: ["${SCRAM}"]}}}
  both: {type: kafka, brokers: "127.0.0.1:1", topic: t, tls: false,
         auth: {scram: {username: u, password: "${SCRAM}", password_file: plain.txt}}}
  raw: {type: kafka, brokers: "127.0.0.1:1", topic: t, properties: {sasl.pasword: "${RAW}", ssl.key.pem: "${RAW}"}}
  oidc: {type: kafka, brokers: "127.0.0.1:1", topic: t, tls: false,
         auth: {oauthbearer: {token_url: "http://u:${OIDC}@127.0.0.1:1/token", client_id: c, client_secret: "${OIDC}"}}}
  url: {type: kafka, brokers: "u:${RAW}@127.0.0.1:1", topic: t, tls: false}
  queue: {type: sqs, queue: "https://u:${RAW}@sqs.eu-west-1.amazonaws.com/123456789012/q"}
routes: {orders: {to: [scram]}}
sources:
  fed: {type: firehose, route: orders, access_keys: {first: "${FED}"}}
  fed2: {type: firehose, route: orders, access_key: "${FED}"}
"""


@dataclass(frozen=True)
class Canaries:
    """Each with its place, and what a service needs to have them."""

    secrets: dict[str, str] = field(default_factory=dict)

    def of(self, place: str) -> str:
        """The canary for a place; the same each time."""
        return self.secrets.setdefault(place, f"canary-{place}-{hashlib.sha256(place.encode()).hexdigest()[:24]}")

    @property
    def key(self) -> str:
        """An API key that is good."""
        return f"shop.{self.of('key')}"

    def environment(self) -> Mapping[str, str]:
        """The variables that CONFIGURATION names, and what the SDK looks for."""
        digest = hashed(self.key, self.of("API_PEPPER").encode())
        named = ("ADMIN_TOKEN", "COLLECTOR", "SCRAM", "OIDC", "RAW", "SOURCE", "FED", "API_PEPPER", "HOOK")
        return {name: self.of(name) for name in named} | {
            "API_KEYS": json.dumps({"keys": [{"name": "shop", "hmac_sha256": digest}]}),
            "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
            "AWS_SECRET_ACCESS_KEY": self.of("AWS_SECRET_ACCESS_KEY"),
            "AWS_SESSION_TOKEN": self.of("AWS_SESSION_TOKEN"),
            "HTTP_PROXY": f"http://proxy:{self.of('HTTP_PROXY')}@127.0.0.1:1",
            "NO_PROXY": "127.0.0.1",
            "PENSTOCK_KEY": self.key,
        }

    def written(self, folder: Path) -> None:
        """What CONFIGURATION names, in a folder."""
        (folder / "penstock.yaml").write_text(CONFIGURATION)
        (folder / "mistaken.yaml").write_text(MISTAKEN)
        (folder / "no.yaml").write_text(f"admin: {{token: '{self.of('ADMIN_TOKEN')}\nsinks: ]")
        (folder / "plain.txt").write_text(self.of("password_file"))
        (folder / "schema.json").write_text('{"type": "object", "required": ["id"]}')

    def leaked(self, said: Mapping[str, str]) -> list[tuple[str, str]]:
        """Where which canary was told: (what told it, its place and what stands around it)."""
        found = [
            (what, place, text.find(secret), text)
            for what, text in said.items()
            for place, secret in self.secrets.items()
        ]
        return [(what, f"{place}: {text[max(0, at - 150) : at + 60]}") for what, place, at, text in found if at >= 0]
