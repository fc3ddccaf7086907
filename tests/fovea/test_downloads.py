import hashlib
import io
import logging
import os
import sys
import threading
import time
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pooch
import pytest

from fovea import downloads
from fovea.data import is_local
from fovea.downloads import DataError, fetch

CONTENT = bytes(range(256)) * 300
SUM = hashlib.sha256(CONTENT).hexdigest()
NAME = "letters/a.bin"


class Server(BaseHTTPRequestHandler):
    """Answers /good, /corrupt, /truncated and /hang, anything else with 404."""

    def do_GET(self):
        self.server.paths.append(self.path)
        if self.path == "/hang":
            self.server.done.wait(10)
            return
        if self.path == "/zip":
            body = _zip(b"text")
        else:
            good = {"/good": CONTENT, "/truncated": CONTENT}
            body = good.get(self.path, CONTENT[:-1] + b"?")
        found = self.path in ("/good", "/truncated", "/corrupt", "/zip")
        self.send_response(200 if found else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if self.path == "/truncated" else body)

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    with ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
        server.paths, server.done = [], threading.Event()
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.done.set()
        server.shutdown()


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("FOVEA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.delenv("FOVEA_DATA", raising=False)
    monkeypatch.setattr(downloads, "TIMEOUT_S", 0.5)
    return tmp_path / "cache"


@pytest.fixture
def offer(server, cache, monkeypatch):
    """Make NAME the one known file, at these places of the server."""

    def offer(*paths, sha256=SUM, **more):
        urls = [f"http://127.0.0.1:{server.server_port}{path}" for path in paths]
        entry = {"urls": urls, **({"sha256": sha256} if sha256 else {})}
        table = {NAME: entry | more, "letters/b.bin": {"sha256": SUM, "urls": []}}
        monkeypatch.setattr(downloads, "_read_table", lambda: table)
        return urls

    return offer


def files_in(folder):
    return [path for path in folder.rglob("*") if path.is_file()]


def test_file_is_downloaded_once(offer, cache, server, capfd):
    offer("/good")
    pooch.get_logger().setLevel("INFO")

    assert fetch(NAME).read_bytes() == fetch(NAME).read_bytes() == CONTENT
    assert server.paths == ["/good"]
    assert files_in(cache) == [cache / NAME]
    # Anything there costs the points of a graded cell.
    assert capfd.readouterr().err == ""
    assert not pooch.get_logger().isEnabledFor(logging.WARNING)


def test_second_address_helps_out(offer, server):
    offer("/gone", "/corrupt", "/good")

    assert fetch(NAME).read_bytes() == CONTENT
    assert server.paths == ["/gone", "/corrupt", "/good"]


@pytest.mark.parametrize(
    ("path", "fault"),
    [
        ("/corrupt", SUM),
        ("/truncated", "IncompleteRead"),
        ("/gone", "404"),
        ("/hang", "timed out"),
    ],
)
def test_failed_download_names_address_fault_and_cure_and_leaves_nothing(
    path, fault, offer, cache
):
    [url] = offer(path)

    with pytest.raises(DataError) as caught:
        fetch(NAME)
    for fact in (NAME, url, fault, "network", "FOVEA_DATA"):
        assert fact in str(caught.value)
    assert files_in(cache) == []


def test_nobody_answers(offer, server, cache):
    [url] = offer("/good")
    server.shutdown()
    server.server_close()

    with pytest.raises(DataError, match=f"{url}: ConnectionError.*refused"):
        fetch(NAME)


def test_interrupted_download_leaves_nothing(offer, cache, monkeypatch):
    def get(self, url, output_file, pooch):
        with open(output_file, "wb") as file:  # noqa: PTH123
            file.write(CONTENT[:100])
        raise KeyboardInterrupt

    offer("/good")
    with monkeypatch.context() as patch:
        patch.setattr(pooch.HTTPDownloader, "__call__", get)
        with pytest.raises(KeyboardInterrupt):
            fetch(NAME)

    assert files_in(cache) == []
    assert fetch(NAME).read_bytes() == CONTENT


def test_half_a_file_of_a_killed_download_goes_with_the_next_one(offer, cache):
    offer("/good")
    (cache / "letters").mkdir(parents=True)
    for name, age_s in (("tmpold", 3600), ("tmpnew", 0)):
        (cache / "letters" / name).write_bytes(CONTENT[:1000])
        os.utime(cache / "letters" / name, (time.time() - age_s,) * 2)
    fetch(NAME)

    # Another process may be writing the new one.
    assert sorted(path.name for path in files_in(cache)) == ["a.bin", "tmpnew"]


@pytest.mark.parametrize("bad", [CONTENT[:1000], b"", CONTENT[:-1] + b"?"])
def test_bad_file_in_the_cache_is_replaced(bad, offer, cache):
    offer("/good")
    (cache / NAME).parent.mkdir(parents=True)
    (cache / NAME).write_bytes(bad)

    assert fetch(NAME).read_bytes() == CONTENT


def test_bad_file_goes_from_the_cache_even_without_a_new_one(offer, cache):
    offer("/gone")
    (cache / NAME).parent.mkdir(parents=True)
    (cache / NAME).write_bytes(CONTENT[:1000])

    with pytest.raises(DataError, match="404"):
        fetch(NAME)
    assert files_in(cache) == []


def test_good_file_in_the_cache_is_left_alone(offer, cache, server, monkeypatch):
    offer("/good")
    (cache / NAME).parent.mkdir(parents=True)
    (cache / NAME).write_bytes(CONTENT)
    monkeypatch.setattr(downloads, "_prepare", lambda path: 1 / 0)

    assert fetch(NAME).read_bytes() == CONTENT
    assert server.paths == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write to any folder")
def test_cache_without_permission_to_write(offer, cache, server):
    offer("/good")
    (cache / "letters").mkdir(parents=True)
    (cache / "letters").chmod(0o555)

    with pytest.raises(DataError, match="Permission denied.*FOVEA_CACHE"):
        fetch(NAME)
    assert server.paths == []


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has /proc")
@pytest.mark.parametrize("name", ["cache", "cache/letters"])
def test_cache_on_a_system_that_takes_no_files(name, offer, cache, server):
    offer("/good")
    (cache.parent / name).parent.mkdir(exist_ok=True)
    (cache.parent / name).symlink_to("/proc/self")

    with pytest.raises(DataError, match=f"{cache / NAME}.*FOVEA_CACHE"):
        fetch(NAME)
    assert server.paths == []


def test_cache_that_is_a_file(offer, cache):
    offer("/good")
    cache.write_bytes(b"mine")

    with pytest.raises(DataError, match="FOVEA_CACHE"):
        fetch(NAME)
    assert cache.read_bytes() == b"mine"


def test_folder_comes_before_cache_and_network(offer, tmp_path, monkeypatch, server):
    offer("/good")
    monkeypatch.setenv("FOVEA_DATA", str(tmp_path))
    (tmp_path / "letters").mkdir()
    (tmp_path / NAME).write_bytes(CONTENT)

    assert fetch(NAME) == tmp_path / NAME
    assert server.paths == []


def test_file_that_the_folder_lacks_is_downloaded(offer, tmp_path, cache, monkeypatch):
    offer("/good")
    monkeypatch.setenv("FOVEA_DATA", str(tmp_path))

    assert fetch(NAME) == cache / NAME


def test_folder_may_hold_the_file_instead(offer, tmp_path, monkeypatch):
    offer("/gone", sha256="0" * 64, instead="letters/b.bin")
    monkeypatch.setenv("FOVEA_DATA", str(tmp_path))
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters/b.bin").write_bytes(CONTENT)

    assert fetch(NAME) == tmp_path / "letters/b.bin"


def test_bad_file_in_the_folder_is_named_and_kept(offer, tmp_path, cache, monkeypatch):
    offer("/good")
    monkeypatch.setenv("FOVEA_DATA", str(tmp_path))
    (tmp_path / "letters").mkdir()
    (tmp_path / NAME).write_bytes(CONTENT[:1000])

    with pytest.raises(DataError) as caught:
        fetch(NAME)
    wrong_sum = hashlib.sha256(CONTENT[:1000]).hexdigest()
    for fact in (str(tmp_path / NAME), wrong_sum, SUM, "opy"):
        assert fact in str(caught.value)
    assert (tmp_path / NAME).read_bytes() == CONTENT[:1000]


def test_folder_that_does_not_exist(offer, tmp_path, monkeypatch):
    offer("/good")
    monkeypatch.setenv("FOVEA_DATA", str(tmp_path / "nowhere"))

    with pytest.raises(DataError, match="FOVEA_DATA is '.*nowhere'"):
        fetch(NAME)


def test_zip_without_a_known_sum_is_checked_by_its_own(offer, cache):
    offer("/corrupt", sha256=None)
    with pytest.raises(DataError, match="not a zip file"):
        fetch(NAME)
    assert files_in(cache) == []

    offer("/zip", sha256=None)
    assert zipfile.ZipFile(fetch(NAME)).read("a.txt") == b"text"

    (cache / NAME).write_bytes(_zip(b"text").replace(b"text", b"tent"))
    assert zipfile.ZipFile(fetch(NAME)).read("a.txt") == b"text"


def test_unknown_file_lists_the_known_ones(offer):
    offer("/good")
    with pytest.raises(ValueError, match=f"'c.bin'.*{NAME}"):
        fetch("c.bin")


def test_every_known_file_has_a_sum_and_an_address():
    table = downloads._read_table()

    for name, entry in table.items():
        assert len(bytes.fromhex(entry.get("sha256", "00" * 32))) == 32
        assert "sha256" in entry or name.endswith(".zip")
        assert all(url.startswith(("https://", "http://")) for url in entry["urls"])
        assert entry.get("instead", name) in table
    stand_ins = {entry.get("instead") for entry in table.values()}
    assert {name for name, entry in table.items() if not entry["urls"]} <= stand_ins


def _zip(text):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.txt", text)
    return buffer.getvalue()


def test_data_are_local_when_every_file_is_there(cache, tmp_path, monkeypatch):
    assert is_local("digits")
    assert not is_local("fashion_mnist")
    names = [n for n in downloads._read_table() if n.startswith("fashion_mnist/")]
    folder = tmp_path / "given"
    monkeypatch.setenv("FOVEA_DATA", str(folder))
    for number, name in enumerate(names):
        assert not is_local("fashion_mnist")
        # Some in one place, some in the other
        path = (folder if number % 2 else tmp_path / "cache") / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert is_local("fashion_mnist")
    assert not is_local("mnist")


@pytest.mark.parametrize("file", ["cifar-10-python", "cifar-10-python-small"])
def test_a_smaller_file_counts_as_well(cache, tmp_path, monkeypatch, file):
    monkeypatch.setenv("FOVEA_DATA", str(tmp_path))
    (tmp_path / "cifar10").mkdir()
    (tmp_path / "cifar10" / f"{file}.tar.gz").touch()
    assert is_local("cifar10")
