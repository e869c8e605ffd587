"""Downloads against a local server that misbehaves in every way that servers do."""

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from formerbench.data import download, load, transport
from formerbench.data.download import Fetched, fetch, fetch_into_cache, reachable, sha256_of
from formerbench.data.registry import find
from formerbench.errors import StatedError

from ..web import CRLF, GOOD, OK, digest, entry

MIRROR = os.environ.get("FORMERBENCH_MIRROR")  # as it is outside; the tests run without it
pytestmark = pytest.mark.usefixtures("quick_and_alone")


def test_a_right_file_is_placed_cached_and_described(server, tmp_path):
    address = server.says("/a.csv", OK)
    fetched = fetch(entry(address), tmp_path / "deep" / "toy.csv")
    assert fetched == Fetched(tmp_path / "deep" / "toy.csv", address, digest(GOOD), "registered")
    assert fetched.path.read_bytes() == GOOD
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [f"{digest(GOOD)}.csv"]
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["toy.csv"]
    assert fetched.path.samefile(tmp_path / "cache" / f"{digest(GOOD)}.csv")


def test_the_cache_and_a_right_destination_spare_the_network(server, tmp_path):
    toy = entry(server.says("/a.csv", OK))
    fetch(toy, tmp_path / "one.csv")
    assert fetch(toy, tmp_path / "two.csv").source == "cache"
    (tmp_path / "cache" / f"{digest(GOOD)}.csv").unlink()
    assert fetch(toy, tmp_path / "two.csv").source == "destination"
    assert len(server.asked) == 1


def test_a_copy_is_made_where_links_are_not_possible(server, tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError("no links here")

    monkeypatch.setattr(os, "link", refuse)
    fetched = fetch(entry(server.says("/a.csv", OK)), tmp_path / "toy.csv")
    assert fetched.path.read_bytes() == GOOD
    assert fetched.path.stat().st_nlink == 1


def test_a_wrong_checksum_leads_to_the_second_source(server, tmp_path, caplog):
    wrong = GOOD.replace(b"-28\n", b"-29\n")
    bad, good = server.says("/bad.csv", (200, wrong, {})), server.says("/good.csv", OK)
    fetched = fetch(entry(bad, good), tmp_path / "toy.csv")
    assert (fetched.source, fetched.path.read_bytes()) == (good, GOOD)
    assert digest(wrong) in caplog.text
    assert digest(GOOD) in caplog.text


@pytest.mark.parametrize("passing", [(500, b"", {}), (503, b"", {}), (429, b"", {}), (200, GOOD[:100], {})])
def test_a_failure_that_passes_is_tried_again(server, tmp_path, passing):
    address = server.says("/a.csv", passing, passing, OK)
    assert fetch(entry(address), tmp_path / "toy.csv").source == address
    assert len(server.asked) == 3


def test_a_truncated_body_is_tried_again(server, tmp_path):
    short = (200, GOOD[:100], {"Content-Length": str(len(GOOD))})
    fetched = fetch(entry(server.says("/a.csv", short, OK)), tmp_path / "toy.csv")
    assert fetched.path.read_bytes() == GOOD
    assert len(server.asked) == 2


def test_a_missing_page_is_not_tried_again(server, tmp_path):
    with pytest.raises(StatedError, match="the server answered 404"):
        fetch(entry(server.says("/a.csv", (404, b"", {}))), tmp_path / "toy.csv")
    assert len(server.asked) == 1


def test_a_body_over_the_size_is_stopped_and_not_tried_again(server, tmp_path):
    huge = server.says("/a.csv", (200, b"x" * (len(GOOD) + 28 + download.SLACK_BYTES + 1), {}))
    with pytest.raises(StatedError, match="larger than the"):
        fetch(entry(huge), tmp_path / "toy.csv")
    assert len(server.asked) == 1
    assert not list((tmp_path / "cache").iterdir())


def test_a_page_instead_of_the_file_is_named_as_such(server, tmp_path):
    page = server.says("/a.csv", (200, b"\n<!doctype html><title>Sign in</title>", {}))
    with pytest.raises(StatedError, match="an HTML page came with sha256"):
        fetch(entry(page), tmp_path / "toy.csv")


def test_the_last_error_lists_every_source_in_a_line_and_the_way_out(server, tmp_path):
    gone, busy = server.says("/gone.csv", (404, b"", {})), server.says("/busy.csv", (502, b"", {}))
    closed = "http://127.0.0.1:9/closed.csv"
    with pytest.raises(StatedError) as failed:
        fetch(entry(gone, busy, closed), tmp_path / "toy.csv", mirror=str(tmp_path / "none"))
    lines = str(failed.value).splitlines()
    assert lines[0].startswith("toy: no source delivered")
    assert lines[1] == f"  {tmp_path / 'none'}/toy/toy.csv: there is no such file"
    assert lines[2] == f"  {gone}: the server answered 404 Not Found"
    assert lines[3] == f"  {busy}: the server answered 502 Bad Gateway"
    assert lines[4] == f"  {closed}: no connection"
    assert lines[5].startswith("Set FORMERBENCH_MIRROR")
    assert len(lines) == 6


def test_a_good_file_is_not_replaced_by_a_bad_one_and_a_bad_one_is_by_a_good_one(server, tmp_path):
    destination = tmp_path / "toy.csv"
    destination.write_bytes(CRLF)
    bad = server.says("/bad.csv", (200, b"date\n", {}))
    assert fetch(entry(bad), destination).variant == "crlf"
    destination.write_bytes(b"mine, but not it")
    with pytest.raises(StatedError):
        fetch(entry(bad), destination)
    assert destination.read_bytes() == b"mine, but not it"
    fetch(entry(server.says("/good.csv", OK)), destination)
    assert destination.read_bytes() == GOOD


def test_a_damaged_cache_file_is_not_used_but_replaced(server, tmp_path, caplog):
    held = tmp_path / "cache" / f"{digest(GOOD)}.csv"
    held.parent.mkdir()
    held.write_bytes(b"damaged")
    address = server.says("/a.csv", OK)
    assert fetch_into_cache(entry(address)).source == address
    assert held.read_bytes() == GOOD
    assert "is damaged" in caplog.text


def test_an_edit_of_the_placed_file_does_not_survive_in_the_cache(server, tmp_path):
    toy = entry(server.says("/a.csv", OK))
    placed = fetch(toy, tmp_path / "toy.csv").path
    placed.write_bytes(b"edited in place, so the linked cache file is edited too")
    assert fetch(toy, placed).path.read_bytes() == GOOD


def test_a_cache_that_cannot_be_written_is_stated(server, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StatedError, match="set FORMERBENCH_CACHE"):
        fetch(entry(server.says("/a.csv", OK)), tmp_path / "toy.csv", cache=tmp_path / "file")


@pytest.mark.parametrize("form", ["folder", "file", "http"])
@pytest.mark.parametrize("by", ["argument", "environment"])
def test_a_mirror_comes_before_the_sources(server, tmp_path, monkeypatch, form, by):
    (tmp_path / "a mirror" / "toy").mkdir(parents=True)
    (tmp_path / "a mirror" / "toy" / "toy.csv").write_bytes(CRLF)
    web = server.says("/m/toy/toy.csv", (200, CRLF, {})).removesuffix("/toy/toy.csv")
    mirror = {
        "folder": str(tmp_path / "a mirror"),
        "file": (tmp_path / "a mirror").as_uri(),
        "http": f"{web}/",
    }[form]
    if by == "environment":
        monkeypatch.setenv("FORMERBENCH_MIRROR", mirror)
    source = server.says("/a.csv", OK)
    fetched = fetch(entry(source), tmp_path / "toy.csv", mirror=mirror if by == "argument" else None)
    assert fetched.variant == "crlf"
    assert fetched.source.endswith("toy/toy.csv")
    assert ("GET", "/a.csv") not in server.asked


def test_a_mirror_with_another_file_is_refused_and_the_sources_are_asked(server, tmp_path):
    (tmp_path / "m" / "toy").mkdir(parents=True)
    (tmp_path / "m" / "toy" / "toy.csv").write_bytes(b"something else")
    source = server.says("/a.csv", OK)
    assert fetch(entry(source), tmp_path / "toy.csv", mirror=str(tmp_path / "m")).source == source


def test_a_password_in_the_mirror_is_not_shown(server, tmp_path, caplog):
    with pytest.raises(StatedError) as failed:
        fetch(entry(), tmp_path / "toy.csv", mirror=f"http://me:secret@127.0.0.1:{server.server_port}")
    assert "secret" not in str(failed.value) + caplog.text
    assert "404" in str(failed.value)


def answer(url: str, location: str | None) -> SimpleNamespace:
    headers = {"location": location} if location else {}
    return SimpleNamespace(url=url, headers=headers, is_redirect=bool(location), close=lambda: None)


@pytest.mark.parametrize("target", ["http://a.org/x", "//a.org/x", "/x", "https://b.org/x"])
def test_the_hook_refuses_only_to_leave_https(target):
    redirect = answer("https://a.org/y", target)
    if target.startswith("http:"):
        with pytest.raises(StatedError, match=r"redirected from https to http://a\.org/x"):
            transport.refuse_downgrade(redirect)
    else:
        transport.refuse_downgrade(redirect)
    transport.refuse_downgrade(answer("http://a.org/y", target))
    transport.refuse_downgrade(answer("https://a.org/y", None))


def test_redirects_are_followed_and_pass_through_the_hook(server, tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(
        transport, "refuse_downgrade", lambda answer, *_, **__: seen.append(answer.status_code)
    )
    server.says("/there.csv", OK)
    moved = server.says("/here.csv", (302, b"", {"Location": "/there.csv"}))
    assert fetch(entry(moved), tmp_path / "toy.csv").path.read_bytes() == GOOD
    assert seen == [302, 200]


def test_reachable_says_where(server, tmp_path):
    gone, there = server.says("/gone.csv", (404, b"", {})), server.says("/a.csv", OK)
    assert reachable(entry(gone)) is None
    assert reachable(entry("http://127.0.0.1:9/closed.csv"), timeout=1) is None
    assert reachable(entry(gone, there)) == there
    no_head = server.says("/b.csv", (405, b"", {}), OK)
    assert reachable(entry(no_head)) == no_head
    (tmp_path / "m" / "toy").mkdir(parents=True)
    (tmp_path / "m" / "toy" / "toy.csv").write_bytes(b"something else")
    assert reachable(entry(gone), mirror=str(tmp_path / "m")) is None
    (tmp_path / "m" / "toy" / "toy.csv").write_bytes(GOOD)
    assert reachable(entry(gone), mirror=str(tmp_path / "m")) == str(tmp_path / "m" / "toy" / "toy.csv")
    fetch(entry(there), tmp_path / "toy.csv")
    assert reachable(entry(gone)) == "cache"


def test_reachable_of_other_kinds(tmp_path):
    own = find({"name": "mine", "path": str(tmp_path / "mine.csv")})
    assert reachable(own) is None
    (tmp_path / "mine.csv").write_text("date,a\n")
    assert reachable(own) == str(tmp_path / "mine.csv")
    assert reachable(find("synthetic")) == "generated"


@pytest.mark.parametrize("dataset", ["synthetic", {"name": "mine", "path": "mine.csv"}])
def test_other_kinds_are_not_downloaded(dataset, tmp_path):
    with pytest.raises(StatedError, match="is not downloaded"):
        fetch(find(dataset), tmp_path / "x.csv")


def test_load_fetches_into_the_cache_and_reads(tmp_path):
    if not MIRROR or not (Path(MIRROR) / "ETT-small" / "ETTh1.csv").is_file():
        pytest.skip("FORMERBENCH_MIRROR names no folder with ETT-small/ETTh1.csv")
    series = load("ETTh1", mirror=MIRROR, cache=tmp_path / "held")
    assert series.sha256 == find("ETTh1").sha256
    assert series.facts["source_file"] == "ETTh1.csv"
    assert sha256_of(tmp_path / "held" / f"{find('ETTh1').sha256}.csv") == find("ETTh1").sha256
    again = load("ETTh1", mirror="/nowhere", cache=tmp_path / "held")
    assert (again.values == series.values).all()
