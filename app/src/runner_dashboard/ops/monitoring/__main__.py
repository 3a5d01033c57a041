"""`python -m runner_dashboard.ops.monitoring DIRECTORY`: writes alerts.yaml and grafana.json."""

from __future__ import annotations

import sys
from pathlib import Path

from runner_dashboard.ops.monitoring import alerts, families, panels


def written() -> dict[str, str]:
    """Return the files by name."""
    return {"alerts.yaml": alerts.render(), "grafana.json": panels.render(families.of_application())}


if __name__ == "__main__":
    for name, text in written().items():
        (Path(sys.argv[1]) / name).write_text(text, encoding="utf-8")
