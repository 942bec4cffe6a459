"""Renders the chart as Helm does, for whoever asks on standard input; runs in `.lab/tools`, which has Helm's library.

A line of JSON in, a line of JSON out: `{"values": {}, "name": "demo"}` -> `{"manifests": {...}}`, or `{"error": "..."}`
for values that the schema or a template refuses. `{"lint": {}}` -> `{"findings": [...]}`, of `helm lint --strict`.
`{"validate": [...]}` -> `{"errors": [...]}`: what Kubernetes' schemas have against manifests.
"""

import json
import sys
from pathlib import Path
from typing import Any

import helm_python as helm
import kubernetes_validate

CHART = Path(__file__).parents[2] / "helm" / "penstock"


def answer(chart: Any, asked: dict[str, Any]) -> dict[str, Any]:
    """What is printed for one line."""
    try:
        if "validate" in asked:
            return {"errors": [wrong for each in asked["validate"] if (wrong := _wrong(each))]}
        if "lint" in asked:
            found = helm.lint(CHART, asked["lint"], strict=True)
            return {"findings": [each for each in found["messages"] if each["severity"] > 1] + found["errors"]}
        values = asked.get("values", {})
        chart.validate_schema(values)
        return {"manifests": chart.render(values, name=asked.get("name", "demo"), namespace="ingest")}
    except helm.HelmError as error:
        return {"error": str(error)}


def _wrong(manifest: dict[str, Any]) -> str:
    """What Kubernetes' own schemas have against it; empty if nothing."""
    try:
        kubernetes_validate.validate(manifest, kubernetes_validate.latest_version(), strict=True)
    except Exception as error:  # noqa: BLE001 - its own kinds share no base
        return f"{manifest['kind']} {manifest['metadata']['name']}: {type(error).__name__}: {error}"
    return ""


def main() -> None:
    """Answer until the input ends."""
    with helm.Chart.load(CHART) as chart:
        for line in sys.stdin:
            print(json.dumps(answer(chart, json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
