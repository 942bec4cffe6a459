"""Each piece of configuration that a page shows is one that the service takes."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from service.config.load import load
from service.config.settings import Tree
from tests.certificates import Authority

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```yaml\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PAGES = [*(ROOT / "docs").glob("*.md"), *(ROOT / "examples").rglob("*.md")]


def _shown() -> list[Any]:
    """(text, page and line) of every block that is a configuration, or a part of one."""
    found = []
    for page in sorted(PAGES):
        text = page.read_text("utf-8")
        for block in BLOCK.finditer(text):
            if yaml.safe_load(block[1]).keys() <= Tree.model_fields.keys():
                place = f"{page.relative_to(ROOT)}:{text[: block.start()].count(chr(10)) + 2}"
                found.append(pytest.param(block[1], id=place))
    return found


def _whole(part: dict[str, Any]) -> dict[str, Any]:
    """The part, with the sinks and routes that it names and does not have itself."""
    part.setdefault("aws", {"region": "eu-west-1"})
    sinks, routes = part.setdefault("sinks", {}), part.setdefault("routes", {})
    for source in part.get("sources", {}).values():
        for name in source.get("topics", {"": source.get("route")}).values():
            routes.setdefault(name, {"to": ["lake"], "dead_letter": "dead"})
    for name in part.get("quotas", {}).get("routes", {}):
        routes.setdefault(name, {"to": ["lake"]})
    if not routes:
        routes["orders"] = {"to": ["lake"]}
    for route in routes.values():
        for named in [*route["to"], route.get("dead_letter")]:
            name = named["sink"] if isinstance(named, dict) else named
            if name:
                sinks.setdefault(name, {"type": "file", "path": name})
    return part


@pytest.mark.parametrize("text", _shown())
def test_what_a_page_shows_is_taken(tmp_path: Path, text: str) -> None:
    authority = Authority()
    (tmp_path / "ca.crt").write_bytes(authority.pem)
    pem, _ = authority.server().write(tmp_path, "tls")
    pem.rename(tmp_path / "tls.crt")
    (tmp_path / "pepper").write_text("p" * 64)
    (tmp_path / "keys.yaml").write_text("keys: []")
    (tmp_path / "keys").write_text("k" * 32)
    (tmp_path / "order.schema.json").write_text("{}")
    file = tmp_path / "penstock.yaml"
    part = yaml.safe_load(text.replace("/etc/penstock/tls", str(tmp_path)))
    file.write_text(yaml.safe_dump(_whole(part), sort_keys=False))
    load(file, {})
