"""Values, by what they are about."""

from typing import Any, Final

CONFIG: Final[dict[str, Any]] = {
    "aws": {"region": "eu-west-1"},
    "sinks": {"orders": {"type": "kinesis", "stream": "orders"}, "dead": {"type": "sqs", "queue": "dead"}},
    "routes": {"orders": {"to": ["orders"], "dead_letter": "dead"}},
}
STORED: Final[dict[str, Any]] = {**CONFIG, "routes": {"orders": {**CONFIG["routes"]["orders"], "ack": "stored"}}}
CONSUMING: Final[dict[str, Any]] = {
    **CONFIG,
    "sources": {
        "msk": {
            "type": "kafka",
            "brokers": "b-1:9092,b-2:9092",
            "group": "penstock",
            "topics": {"orders.raw": "orders", "orders.more": "orders"},
            "max_message": "512KiB",
        }
    },
}

MATRIX: Final[dict[str, dict[str, Any]]] = {
    "default": {},
    "configured": {"config": CONFIG},
    "journal": {"config": STORED, "replicas": 3, "journal": {"storageClass": "gp3"}},
    "drained": {"config": STORED, "replicas": 2, "drain": {"ordinals": [2, 4]}},
    "scaled": {"config": CONFIG, "autoscaling": {"enabled": True, "laneFullness": 50}},
    "keda": {"config": CONSUMING, "keda": {"enabled": True, "authentication": "msk"}},
    "tls": {
        "config": {
            **CONFIG,
            "server": {"auth": {"jwt": {"issuer": "https://idp.example.com", "audience": "penstock"}}},
        },
        "secretMounts": {"tls": "penstock-tls"},
        "secretEnv": {"DB_PASSWORD": {"secret": "db", "key": "password"}},
        "env": {"AWS_REGION": "eu-west-1", "NUMBER": 7},
    },
    "irsa": {"serviceAccount": {"annotations": {"eks.amazonaws.com/role-arn": "arn:aws:iam::123456789012:role/p"}}},
    "own account": {"serviceAccount": {"create": False, "name": "mine"}},
    "watched": {"serviceMonitor": {"enabled": True}, "prometheusRule": {"enabled": True, "labels": {"team": "data"}}},
    "open": {"config": {**CONFIG, "server": {"auth": "none"}}, "networkPolicy": {"enabled": False}},
    "many workers": {"config": {**CONFIG, "server": {"workers": 4, "memory": "1GiB"}}, "preStopSeconds": 15},
    "plain numbers": {"config": {**CONFIG, "server": {"memory": 536870912, "max_connections": 1000000}}},
    "balanced": {
        "service": {"type": "LoadBalancer", "annotations": {"a": "b"}},
        "ingress": {"enabled": True, "className": "alb", "host": "in.example.com", "tlsSecret": "cert"},
    },
    "everything": {
        "config": STORED,
        "files": {"order.json": '{"type": "object"}\n'},
        "image": {"digest": "sha256:" + "0" * 64, "pullSecrets": ["registry"]},
        "nodeSelector": {"kubernetes.io/arch": "arm64"},
        "tolerations": [{"key": "data", "operator": "Exists"}],
        "affinity": {"nodeAffinity": {}},
        "priorityClassName": "high",
        "podLabels": {"team": "data"},
        "podAnnotations": {"a": "b"},
        "resources": {"requests": {"cpu": "2", "memory": "2Gi"}, "limits": {"memory": "2Gi"}},
        "networkPolicy": {"producers": [{"podSelector": {}}], "operators": [{"namespaceSelector": {}}]},
        "test": {"route": "orders", "event": {"id": 1}, "keySecret": "shop"},
        "serviceMonitor": {"enabled": True, "labels": {"a": "b"}},
        "prometheusRule": {"enabled": True},
        "ingress": {"enabled": True},
    },
}

WRONG: Final[tuple[tuple[dict[str, Any], str], ...]] = (
    ({"replicas": "two"}, "replicas"),
    ({"replicas": -1}, "replicas"),
    ({"confg": {}}, "confg"),
    ({"config": {"rotes": {}}}, "rotes"),
    ({"image": {"digest": "abc"}}, "digest"),
    ({"image": {"tagg": "1"}}, "tagg"),
    ({"image": {"repository": ""}}, "repository"),
    ({"secretEnv": {"A": "in clear"}}, "secretEnv"),
    ({"secretEnv": {"A-B": {"secret": "s", "key": "k"}}}, "A-B"),
    ({"files": {"penstock.yaml": ""}}, "penstock.yaml"),
    ({"files": {"schemas/order.json": ""}}, "schemas/order.json"),
    ({"service": {"type": "External"}}, "type"),
    ({"autoscaling": {"cpu": 0}}, "cpu"),
    ({"journal": {"size": "a lot"}}, "size"),
    ({"preStopSeconds": 4000}, "preStopSeconds"),
    ({"fullnameOverride": "Upper_Case"}, "fullnameOverride"),
    ({"config": STORED, "autoscaling": {"enabled": True}}, "are not scaled by load"),
    ({"config": STORED, "keda": {"enabled": True}}, "are not scaled by load"),
    ({"config": CONSUMING, "autoscaling": {"enabled": True}, "keda": {"enabled": True}}, "both"),
    ({"config": CONFIG, "keda": {"enabled": True}}, "no source of Kafka"),
    (
        {"config": {"sources": {"m": {"type": "kafka", "topics": {"^a": "b"}}}}, "keda": {"enabled": True}},
        "by the pattern",
    ),
    ({"config": STORED, "replicas": 3, "drain": {"ordinals": [2]}}, "lower replicas first"),
    ({"config": CONFIG, "replicas": 1, "drain": {"ordinals": [2]}}, "there is no journal"),
    ({"config": {"server": {"drain_timeout": "soon"}}}, "is no duration"),
    ({"config": {"admin": {"tls": {"clients": "required"}}}}, "probes have no certificate"),
    ({"config": CONFIG, "autoscaling": {"enabled": True, "min": 5, "max": 2}}, "min (5) is more than max (2)"),
    ({"config": CONSUMING, "keda": {"enabled": True, "min": 5, "max": 2}}, "min (5) is more than max (2)"),
    (
        {
            "config": {"sources": {"m": {"type": "kafka", "brokers": "${B}", "group": "g", "topics": {"a": "b"}}}},
            "keda": {"enabled": True},
        },
        "only the pod knows",
    ),
    ({"env": {"PENSTOCK_ADMIN_TOKEN": "in clear"}}, "comes from a Secret"),
    ({"env": {"A": "x"}, "secretEnv": {"A": {"secret": "s", "key": "k"}}}, "comes from a Secret"),
    ({"env": {"A": 10**17}}, "/env/A"),
    ({"fullnameOverride": "1st"}, "no name of a Service"),
    ({"podDisruptionBudget": {"maxUnavailable": "lots"}}, "maxUnavailable"),
    ({"journal": {"size": "..."}}, "size"),
    ({"drain": {"timeout": "..s"}}, "timeout"),
    ({"config": {"server": {"memory": "much"}}}, "is no size"),
)
"""Values that are refused, and a word of the reason."""
