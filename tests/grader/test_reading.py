import json

import nbformat
import pytest

from grader import reading
from grader.reading import Damaged, read_cells

GOOD = {
    "nbformat": 4,
    "nbformat_minor": 5,
    "metadata": {},
    "cells": [
        {
            "cell_type": "code",
            "id": "a",
            "metadata": {"nbgrader": {"grade_id": "q"}},
            "source": ["x = 1\n", "y = 'é'"],
            "outputs": [],
            "execution_count": None,
        }
    ],
}
CELL = {"cell_type": "code", "id": "a", "source": "x = 1\ny = 'é'"}
CELL["nbgrader"] = {"grade_id": "q"}


def write(tmp_path, raw):
    path = tmp_path / "toy.ipynb"
    if not isinstance(raw, bytes):
        raw = json.dumps(raw, ensure_ascii=False).encode()
    path.write_bytes(raw)
    return path


READABLE = {
    "plain": json.dumps(GOOD).encode(),
    "byte-order mark": json.dumps(GOOD, ensure_ascii=False).encode("utf-8-sig"),
    "utf-16": json.dumps(GOOD, ensure_ascii=False).encode("utf-16"),
    "minor version of the future": GOOD | {"nbformat_minor": 99},
}


@pytest.mark.parametrize("raw", READABLE.values(), ids=READABLE.keys())
def test_readable_notebooks_give_their_cells(tmp_path, raw):
    assert read_cells(write(tmp_path, raw)) == [CELL]


@pytest.mark.parametrize("source", ["x = 1\ny = 2", ["x = 1\n", "y = 2"]])
def test_nbformat_3_is_brought_up_to_date(tmp_path, source):
    cell = {
        "cell_type": "code",
        "input": source,
        "language": "python",
        "outputs": [],
        "metadata": {},
    }
    heading = {"cell_type": "heading", "level": 1, "source": source, "metadata": {}}
    worksheets = [{"cells": [cell, heading], "metadata": {}}]
    old = {"nbformat": 3, "nbformat_minor": 0, "metadata": {}, "worksheets": worksheets}
    read, heading = read_cells(write(tmp_path, old))
    assert (read["cell_type"], read["source"]) == ("code", "x = 1\ny = 2")
    assert (heading["cell_type"], heading["source"][:7]) == ("markdown", "# x = 1")


BROKEN = {
    "empty": (b"", "empty"),
    "white space": (b" \n", "empty"),
    "cut off": (json.dumps(GOOD).encode()[:-20], "cut off"),
    "latin-1": (json.dumps(GOOD, ensure_ascii=False).encode("latin-1"), "UTF-8"),
    "a picture": (b"\x89PNG\r\n\x1a\n" + bytes(range(256)), "UTF-8"),
    "a list": ([1, 2], "not a notebook"),
    "no version": ({"cells": []}, "nbformat"),
    "version 2": (GOOD | {"nbformat": 2}, "nbformat 2"),
    "version as text": (GOOD | {"nbformat": "4"}, "nbformat '4'"),
    "broken version 3": ({"nbformat": 3, "worksheets": 7}, "nbformat 3"),
    "no cells": ({"nbformat": 4}, "cells"),
    "cells as text": (GOOD | {"cells": "x"}, "cells"),
    "a cell that is none": (GOOD | {"cells": [7]}, "cell 1"),
    "source that is none": (
        GOOD | {"cells": [{"cell_type": "code", "source": 7}]},
        "cell 1",
    ),
    "nested too deep": (b"[" * 100_000, "damaged"),
}


@pytest.mark.parametrize(("raw", "word"), BROKEN.values(), ids=BROKEN.keys())
def test_broken_notebook_is_one_line_that_says_what_is_wrong(tmp_path, raw, word):
    with pytest.raises(Damaged, match=word) as caught:
        read_cells(write(tmp_path, raw))
    assert "toy.ipynb" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_file_names_itself(tmp_path):
    with pytest.raises(Damaged, match=r"toy\.ipynb is missing"):
        read_cells(tmp_path / "toy.ipynb")


def test_link_is_not_followed(tmp_path):
    secret = write(tmp_path, GOOD)
    link = tmp_path / "link.ipynb"
    link.symlink_to(secret)
    with pytest.raises(Damaged, match="link"):
        read_cells(link)


def test_big_outputs_are_read_past_up_to_a_limit(tmp_path, monkeypatch):
    output = nbformat.v4.new_output("stream", text="x" * 50_000_000)
    big = GOOD | {"cells": [GOOD["cells"][0] | {"outputs": [output]}]}
    path = write(tmp_path, big)
    assert read_cells(path) == [CELL]
    monkeypatch.setattr(reading, "MAX_FILE_BYTES", 1000)
    with pytest.raises(Damaged, match="50 MB"):
        read_cells(path)


def test_odd_metadata_and_lone_surrogates_do_not_stop_the_reading(tmp_path):
    raw = (
        b'{"nbformat": 4, "cells": [{"cell_type": "code", "metadata": [],'
        b' "source": "\\ud800", "id": 3}]}'
    )
    (cell,) = read_cells(write(tmp_path, raw))
    assert cell == {"cell_type": "code", "id": None, "source": "?", "nbgrader": {}}
