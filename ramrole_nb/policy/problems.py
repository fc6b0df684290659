"""What the lint finds: problems with a code, a severity of the vendor's four, a place and a fix."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["SEVERITIES", "Problem", "Severity"]

Severity = Literal["error", "security", "warning", "suggestion"]

#: Severity -> what the vendor's editor calls it (https://help.aliyun.com/en/ram/permission-policy-check), worst first.
SEVERITIES: dict[Severity, str] = {
    "error": "Error",
    "security": "Security Warning",
    "warning": "General Warning",
    "suggestion": "Suggestion",
}


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem of a policy document.

    Attributes:
        code: a name for it, such as ``object-action-on-bucket``.
        severity: ``error`` (the service refuses the document), ``security`` (it grants more than is safe), ``warning``
            (it does not do what it seems to) or ``suggestion``.
        path: where, such as ``Statement[0].Resource``; empty for the document as a whole.
        message: what is wrong and what comes of it.
        fix: what to write instead.
        line: the line where it stands, counted from 1; 0 where the document was given as an object or is no JSON.
    """

    code: str
    severity: Severity
    path: str
    message: str
    fix: str
    line: int = 0

    @property
    def title(self) -> str:
        """The severity in the vendor's words."""
        return SEVERITIES[self.severity]

    def __str__(self) -> str:
        where = ", ".join(part for part in (self.path, f"line {self.line}" if self.line else "") if part)
        return f"{self.title}: {self.message}" + (f" ({where})" if where else "") + f"\n  fix: {self.fix}"
