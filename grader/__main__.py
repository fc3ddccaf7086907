"""The grader's command line: ``python -m grader COMMAND``."""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from grader.course import BadInput, Course

GRADED, SOME_NOT_GRADED, BAD_INPUT = 0, 1, 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return 0 when all is graded, 1 when something was not, 2 on bad
    input."""
    options = _parser().parse_args(arguments)
    try:
        return options.command(options)
    except BadInput as error:
        print(f"error: {error}", file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        print("stopped; what was graded before stays graded", file=sys.stderr)
        return SOME_NOT_GRADED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m grader", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    check = commands.add_parser("check", help="grade one notebook: your own work")
    check.add_argument("notebook", type=Path, metavar="NOTEBOOK")
    check.add_argument(
        "--assignment", help="the assignment's name, if the file's does not tell"
    )
    check.add_argument(
        "--student", help="the name that numbers of your own are drawn from"
    )
    check.add_argument("--cell-limit", type=float, default=None, metavar="SECONDS")
    check.set_defaults(command=_check)

    autograde = commands.add_parser("autograde", help="grade a class")
    autograde.add_argument("assignment", metavar="ASSIGNMENT")
    autograde.add_argument("--students", nargs="+", default=[], metavar="STUDENT")
    autograde.add_argument("--jobs", type=int, default=os.cpu_count() or 1, metavar="N")
    autograde.set_defaults(command=_autograde)

    sample = commands.add_parser("sample", help="write a class to try things on")
    sample.add_argument("assignment", metavar="ASSIGNMENT")
    sample.add_argument("--students", type=int, default=20, metavar="N")
    sample.add_argument("--seed", type=int, default=0, metavar="S")
    sample.add_argument("--force", action="store_true", help="overwrite submissions")
    sample.set_defaults(command=_sample)

    demo = commands.add_parser(
        "demo", help="take a sample class from release to feedback"
    )
    demo.add_argument("--assignment", default="01_backprop", metavar="ASSIGNMENT")
    demo.add_argument("--students", type=int, default=20, metavar="N")
    demo.add_argument("--seed", type=int, default=0, metavar="S")
    demo.add_argument("--folder", type=Path, default=Path("build/demo"))
    demo.set_defaults(command=_demo)

    for command in (check, autograde, sample):
        command.add_argument(
            "--json", action="store_true", help="print JSON and nothing else"
        )
    return parser


def _check(options: argparse.Namespace) -> int:
    from grader.check import check_notebook
    from grader.execution import Limits
    from grader.tables import check_table

    limits = Limits(cell_s=options.cell_limit) if options.cell_limit else Limits()
    checked = check_notebook(
        options.notebook,
        assignment=options.assignment,
        student=options.student,
        limits=limits,
    )
    print(json.dumps(checked.to_dict()) if options.json else check_table(checked))
    return GRADED


def _autograde(options: argparse.Namespace) -> int:
    from tqdm import tqdm

    from grader.autograde import class_to_dict, grade_class
    from grader.tables import class_table

    if options.jobs < 1:
        raise BadInput(f"--jobs is {options.jobs}, where at least 1 is expected")
    assignment = Course.find().assignment(options.assignment)
    students = [s for group in options.students for s in group.split(",") if s]
    count = len(students) or len(assignment.students())
    grading = grade_class(assignment, students, options.jobs)
    results = list(tqdm(grading, total=count, unit="student", desc=assignment.name))
    if options.json:
        print(json.dumps(class_to_dict(assignment, results)))
    else:
        print(class_table(results))
    problems = [r for r in results if r.problem]
    for result in problems:
        print(f"not graded: {result.student}: {result.problem}", file=sys.stderr)
    return SOME_NOT_GRADED if problems else GRADED


def _sample(options: argparse.Namespace) -> int:
    from grader.sample import sample_class

    assignment = Course.find().assignment(options.assignment)
    made = sample_class(assignment, options.students, options.seed, options.force)
    if options.json:
        print(json.dumps([vars(m) for m in made]))
    else:
        for m in made:
            print(f"{m.student:12} {m.kind:10} {', '.join(m.mistakes)}".rstrip())
        print(f"\n{len(made)} submissions in {assignment.course.folder('submitted')}")
        print(f"grade them with: python -m grader autograde {assignment.name}")
    return GRADED


def _demo(options: argparse.Namespace) -> int:
    from grader.demo import run_demo

    return run_demo(
        Course.find(),
        options.assignment,
        options.students,
        options.seed,
        options.folder,
    )


if __name__ == "__main__":
    sys.exit(main())
