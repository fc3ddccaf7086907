"""The grader's command line: ``python -m grader COMMAND``."""

import argparse
import gc
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from grader.course import BadInput, Course

if TYPE_CHECKING:
    from grader.executors import Executor
    from grader.verdicts import Result

# jsonschema imports it to check URLs, which no notebook is checked for: a second
sys.modules.setdefault("rfc3987_syntax", None)

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
    check.add_argument(
        "--no-sandbox", action="store_true", help="trust the notebook: your own work"
    )
    check.set_defaults(command=_check)

    autograde = commands.add_parser("autograde", help="grade a class")
    autograde.add_argument("assignment", metavar="ASSIGNMENT")
    autograde.add_argument("--students", nargs="+", default=[], metavar="STUDENT")
    autograde.add_argument("--jobs", type=int, default=os.cpu_count() or 1, metavar="N")
    autograde.add_argument(
        "--force", action="store_true", help="grade again who was graded before"
    )
    autograde.add_argument(
        "--no-sandbox", action="store_true", help="trust the submissions: your own work"
    )
    autograde.add_argument(
        "--dask", metavar="ADDRESS", help="run on the cluster of this dask scheduler"
    )
    autograde.add_argument(
        "--events", action="store_true", help="print a line of JSON for each student"
    )
    autograde.set_defaults(command=_autograde)

    report = commands.add_parser("report", help="tell how a graded class did")
    report.add_argument("assignment", metavar="ASSIGNMENT")
    report.add_argument("--html", type=Path, metavar="FILE", help="where the page goes")
    report.add_argument(
        "--anonymous", action="store_true", help="name no student: to show in class"
    )
    report.set_defaults(command=_report)

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

    attack = commands.add_parser("attack", help="try every known cheat on this grader")
    attack.add_argument("--only", nargs="+", default=[], metavar="NAME")
    attack.add_argument("--jobs", type=int, default=os.cpu_count() or 1, metavar="N")
    attack.add_argument("--list", action="store_true", help="name them, try none")
    attack.add_argument(
        "--in-one-process",
        action="store_true",
        help="see what the harmless ones gain where checks run with student code",
    )
    attack.set_defaults(command=_attack)

    for command in (check, autograde, report, sample, attack):
        command.add_argument(
            "--json", action="store_true", help="print JSON and nothing else"
        )
    return parser


def _check(options: argparse.Namespace) -> int:
    from grader.executors import own_worker

    own_worker(not options.no_sandbox)  # it warms up while nbgrader is imported
    from grader.check import check_notebook
    from grader.execution import Limits
    from grader.tables import check_table

    limits = Limits(cell_s=options.cell_limit) if options.cell_limit else Limits()
    checked = check_notebook(
        options.notebook,
        assignment=options.assignment,
        student=options.student,
        limits=limits,
        sandbox=not options.no_sandbox,
    )
    print(json.dumps(checked.to_dict()) if options.json else check_table(checked))
    return GRADED


def _autograde(options: argparse.Namespace) -> int:
    from grader import executors

    if options.jobs < 1:
        raise BadInput(f"--jobs is {options.jobs}, where at least 1 is expected")
    course = Course.find()
    sandbox = not options.no_sandbox
    place = (
        executors.dask(options.dask, sandbox)
        if options.dask
        else executors.local(options.jobs, sandbox)
    )
    with place as executor:
        return _grade_class(options, course, executor)


def _grade_class(
    options: argparse.Namespace, course: Course, executor: "Executor"
) -> int:
    # nbgrader takes a second to import, while the executor's first worker warms up
    from tqdm import tqdm

    from grader.autograde import choose_students, class_to_dict, grade_class
    from grader.tables import class_table

    gc.freeze()  # what was imported stays: no need to look through it for garbage
    assignment = course.assignment(options.assignment)
    named = [s for group in options.students for s in group.split(",") if s]
    students = choose_students(assignment, named)
    results = {}
    grading = grade_class(assignment, students, executor, force=options.force)
    bar = tqdm(grading, total=len(students), unit="student", desc=assignment.name)
    for result in bar:
        results[result.student] = result
        if options.events:
            _print_event(result, len(results), len(students))
    # as they are in the class, not as they finished
    ordered = [results[student] for student in students]
    problems = [r for r in ordered if r.problem]
    if options.events:
        print(json.dumps({"finished": True, "problems": len(problems)}), flush=True)
    elif options.json:
        print(json.dumps(class_to_dict(assignment, ordered)))
    else:
        print(class_table(ordered))
    for result in problems:
        print(f"not graded: {result.student}: {result.problem}", file=sys.stderr)
    return SOME_NOT_GRADED if problems else GRADED


def _print_event(result: "Result", done: int, total: int) -> None:
    data = result.to_dict()
    event = {name: data[name] for name in ("student", "score", "max", "problem")}
    counts = {"done": done, "total": total, "skipped": result.skipped}
    print(json.dumps(counts | event), flush=True)


def _report(options: argparse.Namespace) -> int:
    from grader.report import load, report_page, report_table, summarize

    assignment = Course.find().assignment(options.assignment)
    report = summarize(assignment.name, load(assignment), options.anonymous)
    page = None
    if options.html or not options.json:
        name = f"report-{assignment.name}.html"
        page = options.html or assignment.course.root / "build" / name
        try:
            page.parent.mkdir(parents=True, exist_ok=True)
            page.write_text(report_page(report), encoding="utf-8")
        except OSError as error:
            raise BadInput(f"no page at {page}: {error.strerror}") from None
    print(json.dumps(report) if options.json else report_table(report))
    if page:
        print(f"page: {page}", file=sys.stderr)
    return GRADED


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


def _attack(options: argparse.Namespace) -> int:
    from grader.attacks.outcome import attack_table
    from grader.attacks.run import choose, try_all

    attacks = choose(options.only)
    if options.list:
        data = [{"name": a.name, "kind": a.kind, "aim": a.aim} for a in attacks]
        lines = [f"{a.kind:16} {a.name:26} {a.aim}" for a in attacks]
        print(json.dumps(data) if options.json else "\n".join(lines))
        return GRADED
    if options.jobs < 1:
        raise BadInput(f"--jobs is {options.jobs}, where at least 1 is expected")
    outcomes = try_all(attacks, options.jobs, options.in_one_process)
    data = [outcome.to_dict() for outcome in outcomes]
    print(json.dumps(data) if options.json else attack_table(outcomes))
    return GRADED if all(o.as_expected for o in outcomes) else SOME_NOT_GRADED


if __name__ == "__main__":
    sys.exit(main())
