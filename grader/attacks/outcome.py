"""What an attack came to, and how it is told."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from grader.attacks import Attack


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What an attack came to; ``points`` are those of each exercise."""

    attack: Attack
    expected: dict[str, float]
    points: dict[str, float]
    harms: tuple[str, ...] = ()
    messages: dict[str, str] = field(default_factory=dict)
    problem: str = ""
    seconds: float = 0

    @property
    def verdict(self) -> str:
        """``ok``, ``known``, ``GAINED``, ``LOST`` (an honest part did not count), or
        ``HARM``."""
        if self.harms:
            return "HARM"
        if self.points == self.expected:
            return "ok"
        if self.points.keys() != self.expected.keys():
            return "LOST"
        if any(self.points[name] > p for name, p in self.expected.items()):
            return "known" if self.attack.known else "GAINED"
        return "LOST"

    @property
    def as_expected(self) -> bool:
        return self.verdict in ("ok", "known")

    def to_dict(self) -> dict[str, Any]:
        """Return the outcome as data that JSON can hold."""
        return {
            "name": self.attack.name,
            "kind": self.attack.kind,
            "aim": self.attack.aim,
            "expected": self.expected,
            "points": self.points,
            "harms": list(self.harms),
            "known": self.attack.known or None,
            "seconds": round(self.seconds, 2),
            "verdict": self.verdict,
        }


def attack_table(outcomes: Sequence[Outcome]) -> str:
    """Return the outcomes as a table, an attack a row, and what went wrong below."""
    lines = [f"{'verdict':8}{'points':>10}  {'attack':28}what it tries", "-" * 88]
    for o in outcomes:
        points = f"{sum(o.points.values()):g} / {sum(o.expected.values()):g}"
        lines.append(f"{o.verdict:8}{points:>10}  {o.attack.name:28}{o.attack.aim}")
        lines += [f"{'':20}harm: {harm}" for harm in o.harms]
        if o.problem and not o.attack.refused:
            lines.append(f"{'':20}not graded: {o.problem}"[:300])
        for name in o.expected if o.points else ():
            got, due = o.points.get(name), o.expected.get(name)
            if got != due:
                why = o.messages.get(name, "")
                text = f"{name}: {got} points, where {due} are earned"
                lines.append(f"{'':20}{text}. {why}"[:300])
        if o.verdict == "known":
            lines.append(f"{'':20}known: {o.attack.known}")
    bad = sum(not o.as_expected for o in outcomes)
    known = sum(o.verdict == "known" for o in outcomes)
    lines += ["", f"{len(outcomes)} attacks: {bad} gained points or did harm"]
    lines[-1] += f", {known} got what is known to be theirs" * bool(known)
    return "\n".join(lines)
