"""What happened, as a runner tells it: options of the commands that publish the dashboard's image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from cyclopts import Parameter

from ec_release.container import tags
from ec_release.container.tags import (
    Class,  # noqa: TC001 - cyclopts reads annotations at run time
)


@Parameter(name="*")
@dataclass(frozen=True)
class Event:
    """What happened, and which class of images that is to publish."""

    kind: Annotated[Class, Parameter(name="--class", help="ci: of the main branch. release: of a tag v1.2.3.")]
    event: Annotated[str, Parameter(help="The event (GITHUB_EVENT_NAME).")]
    ref: Annotated[str, Parameter(help="What it happened to (GITHUB_REF).")]
    commit: Annotated[str, Parameter(help="The commit (GITHUB_SHA).")]
    owner: Annotated[str, Parameter(help="Whose repository it is (GITHUB_REPOSITORY_OWNER).")]
    registry: Annotated[str, Parameter(help="Host of the registry.")] = tags.REGISTRY

    def tags(self) -> tags.Tags:
        """Return what the image is called. Raises `EventError`."""
        return tags.of_event(
            self.kind, event=self.event, ref=self.ref, commit=self.commit, owner=self.owner, registry=self.registry
        )
