"""What `ec-release push-images` tells: on standard output, to later steps, and on the page of the run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec
import structlog

from ec_release import actions
from ec_release.output import emit

if TYPE_CHECKING:
    from ec_closure.errors import EcError
    from ec_release.images.push import Pushed


@dataclass
class Result:
    """*left* are images that are not to be pushed, with the reason; *refusal* is why nothing is pushed at all."""

    refusal: str | None = None
    pushed: list[Pushed] = field(default_factory=list)
    left: dict[str, str] = field(default_factory=dict)
    failures: list[EcError] = field(default_factory=list)

    def add(self, one: Pushed) -> None:
        """Take in what became of one image."""
        self.pushed.append(one)
        if one.error is not None:
            self.failures.append(one.error)

    @property
    def digests(self) -> dict[str, str]:
        """Each image that is pushed by all its tags, by its digest."""
        return {one.image: one.reference for one in self.pushed if one.error is None}

    def tell(self, *, as_json: bool) -> None:
        """Tell it, whether it is good or not."""
        for error in self.failures:
            structlog.get_logger().error(error.message, place=error.place, code=error.code, hint=error.hint)
        actions.set_outputs({"digests": msgspec.json.encode(self.digests).decode()})
        actions.add_summary(self._summary())
        emit(
            {
                "pushed_nothing_because": self.refusal,
                "digests": self.digests,
                "images": [
                    {"name": one.repository, "tags": " ".join(one.tags), "digest": one.digest}
                    | ({} if one.replaced is None else {"replaced": one.replaced})
                    | ({} if one.stayed is None else {"stayed": one.stayed})
                    for one in self.pushed
                ],
                "not_to_be_pushed": self.left,
                "failures": [{"code": error.code, "error": str(error)} for error in self.failures],
            },
            as_json=as_json,
        )

    def _summary(self) -> str:
        rows = [
            (
                one.image,
                " ".join(one.tags),
                one.reference if one.error is None else f"failed: {one.error}",
            )
            for one in self.pushed
        ]
        rows += [(image, "", f"not pushed: {reason}") for image, reason in self.left.items()]
        known = {id(one.error) for one in self.pushed}
        rows += [("", "", f"failed: {error}") for error in self.failures if id(error) not in known]
        if self.refusal:
            rows.append(("", "", f"nothing is pushed: {self.refusal}"))
        return actions.table("Images", ("Image", "Tags", "By digest"), rows)
