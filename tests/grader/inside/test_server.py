from pathlib import Path

from grader.inside.server import _Server


def test_what_is_mounted_stays_and_all_else_is_wiped(tmp_path):
    server = _Server.__new__(_Server)
    server.enclosed, server.writable, server.home = True, (tmp_path,), tmp_path
    # as in a clone below /tmp, whose environment the sandbox shows
    environment = tmp_path / "clone/.venv"
    server.mounted = {Path("/"), tmp_path, environment}
    (environment / "bin").mkdir(parents=True)
    server.wipe()
    for left in ("clone/left", "clone/folder/left", "left", "home/left", "work/a/left"):
        (tmp_path / left).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / left).write_text("for the next student")
    (tmp_path / "clone/folder").chmod(0)
    server.wipe()
    found = {str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*")}
    assert found == {"clone", "clone/.venv", "clone/.venv/bin", "home", "work"}
    assert set(server.state()["files"]) == {f"{tmp_path}/home", f"{tmp_path}/work"}
