"""The register of conformance cases: section, number within the section, sentence."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from connection import Connection

Body = Callable[[Connection], None]


@dataclass(frozen=True)
class Case:
    """One case; `run` gets a fresh connection and raises `Failure` or `Skipped`."""

    group: str
    section: str
    number: int
    sentence: str
    strict: bool
    run: Body

    @property
    def id(self) -> str:
        return f"{self.group}/{self.section}/{self.number}"

    def selected_by(self, pattern: str) -> bool:
        """`http2/5.1/8`, `5.1/8`, `5.1`, `5` or `hpack`; a section selects its subsections."""
        group, _, rest = pattern.strip("/").partition("/")
        if group not in ("generic", "http2", "hpack"):
            rest = pattern.strip("/")
        elif group != self.group:
            return False
        if not rest:
            return True
        section, _, number = rest.partition("/")
        if number:
            return section == self.section and number == str(self.number)
        return self.section == section or self.section.startswith(section + ".")


ALL: list[Case] = []


def case(section: str, sentence: str, strict: bool = False) -> Callable[[Body], Body]:
    """Registers a case as the next one of `group/section`."""
    group, _, number = section.partition("/")

    def register(body: Body) -> Body:
        taken = sum(1 for other in ALL if (other.group, other.section) == (group, number))
        ALL.append(Case(group, number, taken + 1, sentence, strict, body))
        return body

    return register
