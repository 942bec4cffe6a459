"""The AWS emulator (ministack) as a child process on loopback, and an environment that knows no other AWS.

It lives in a venv of its own, `.lab/emulator`, because it pins another botocore than ours.
"""

import socket
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from deploy.local.child import Child, ChildError, leashed

LAB = Path(__file__).parents[2] / ".lab"
REGION = "us-east-1"
ACCESS_KEY = SECRET_KEY = "test"
_SERVICES = "kinesis,firehose,sqs,s3,sns,secretsmanager,cloudwatch,cloudformation,sts,iam,ecs"


@contextmanager
def emulator(log: Path, environment: Mapping[str, str], port: int | None = None) -> Iterator[tuple[Child, str]]:
    """The running emulator and its endpoint, such as `http://127.0.0.1:40001`. It forgets all when it ends."""
    python = LAB / "emulator" / "bin" / "python"
    if not python.exists():
        raise ChildError("The AWS emulator is not installed; run: make .lab/emulator/.complete")
    port = port or free_port()
    endpoint = f"http://127.0.0.1:{port}"
    state = log.parent
    own = {
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "MINISTACK_HOST": "127.0.0.1",
        "MINISTACK_REGION": REGION,
        "SERVICES": _SERVICES,
        "LOG_LEVEL": "WARNING",
        # It would listen on port 8883, and look for containers to remove.
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "DOCKER_HOST": "unix:///nonexistent",
        "TMPDIR": str(state),
        "STATE_DIR": str(state / "emulator"),
        "S3_DATA_DIR": str(state / "emulator" / "s3"),
    }
    with Child("The AWS emulator", leashed("ministack", python=python), log, {**environment, **own}) as child:
        child.wait_until(lambda: answers(f"{endpoint}/_ministack/health"))
        yield child, endpoint


def isolated(environment: Mapping[str, str], endpoint: str | None = None) -> dict[str, str]:
    """`environment` without any AWS or Penstock setting, and with the emulator's credentials and endpoint.

    Every AWS SDK reads AWS_ENDPOINT_URL ("Service-specific endpoints", AWS SDKs and Tools Reference Guide).
    """
    kept = {name: value for name, value in environment.items() if not name.startswith(("AWS_", "PENSTOCK_"))}
    direct = "127.0.0.1,localhost"
    kept |= {name: ",".join(filter(None, (kept.get(name), direct))) for name in ("NO_PROXY", "no_proxy")}
    kept |= {
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    if endpoint is not None:
        kept["AWS_ENDPOINT_URL"] = endpoint
    return kept


def free_port() -> int:
    """A port of loopback that nobody listened on a moment ago, for programs that cannot choose one themselves."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def answers(url: str) -> bool:
    """Whether a GET of `url`, on loopback, answers 200 now."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(url, timeout=2) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False
