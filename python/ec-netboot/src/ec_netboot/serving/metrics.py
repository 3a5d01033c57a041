"""What the server counts, as OpenMetrics text. Scripts and machines read it; names are kept."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ec_netboot.release import Platform
    from ec_netboot.serving.shelf import Shelf

CONTENT_TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8"


class Metrics:
    """Counters since the start. *downloads* are files under way."""

    def __init__(self) -> None:
        self.requests: Counter[tuple[str, int]] = Counter()
        self.bytes = 0
        self.downloads = 0
        self.stalled = 0

    def render(self, shelf: Shelf, platforms: Sequence[Platform]) -> str:
        """Return all of them, and what is served."""
        lines = ["# TYPE ec_netboot_requests counter", "# HELP ec_netboot_requests Requests by what they asked for."]
        lines += [
            f'ec_netboot_requests_total{{route="{route}",code="{code}"}} {count}'
            for (route, code), count in sorted(self.requests.items())
        ]
        lines += [
            "# TYPE ec_netboot_sent_bytes counter",
            "# UNIT ec_netboot_sent_bytes bytes",
            f"ec_netboot_sent_bytes_total {self.bytes}",
            "# TYPE ec_netboot_downloads gauge",
            "# HELP ec_netboot_downloads Files that are being sent.",
            f"ec_netboot_downloads {self.downloads}",
            "# TYPE ec_netboot_stalled counter",
            "# HELP ec_netboot_stalled Downloads that were ended because nothing was read any more.",
            f"ec_netboot_stalled_total {self.stalled}",
            "# TYPE ec_netboot_release_version gauge",
            "# HELP ec_netboot_release_version Version of the release that is served; 0 for an archive nobody signed.",
        ]
        served = {platform: shelf.current(platform) for platform in platforms}
        lines += [
            f'ec_netboot_release_version{{platform="{platform}",archive="{found.release.archive}"}} '
            f"{found.release.version}"
            for platform, found in served.items()
            if found
        ]
        lines += ["# TYPE ec_netboot_serving gauge", "# HELP ec_netboot_serving Whether a platform can boot from here."]
        lines += [f'ec_netboot_serving{{platform="{one}"}} {int(found is not None)}' for one, found in served.items()]
        return "\n".join([*lines, "# EOF", ""])
