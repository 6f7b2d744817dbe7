"""Archives: the same bytes every time, stored files where they can be mapped."""

import zipfile

import pytest

from octavo.compiler.package.android.archive import PAGE_BYTES, Entry, write_archive


def _places(path):
    """Name to the offset of its data, and whether it is stored."""
    data = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        for info in archive.infolist():
            header = info.header_offset
            lengths = [
                int.from_bytes(data[header + at : header + at + 2], "little")
                for at in (26, 28)
            ]
            yield info, header + 30 + sum(lengths)


@pytest.fixture
def entries(tmp_path):
    (tmp_path / "file").write_bytes(b"weights" * 5000)
    return [
        Entry("z/last.so", tmp_path / "file", PAGE_BYTES),
        Entry("a.txt", b"text" * 100),
        Entry("m.jar", b"jar", 4),
        Entry("z/empty.so", b"", PAGE_BYTES),
    ]


def test_stored_files_are_aligned_and_others_compressed(tmp_path, entries):
    write_archive(tmp_path / "a.zip", entries)
    seen = {info.filename: (info, place) for info, place in _places(tmp_path / "a.zip")}
    assert list(seen) == ["a.txt", "m.jar", "z/empty.so", "z/last.so"]
    for entry in entries:
        info, place = seen[entry.name]
        assert (info.compress_type == zipfile.ZIP_STORED) == (entry.alignment is not None)
        assert place % (entry.alignment or 1) == 0
        assert info.date_time == (1980, 1, 1, 0, 0, 0)
    place = seen["z/last.so"][1]
    stored = (tmp_path / "a.zip").read_bytes()[place:]
    assert stored.startswith((tmp_path / "file").read_bytes())


def test_equal_entries_give_equal_bytes_in_any_order(tmp_path, entries):
    write_archive(tmp_path / "a.zip", entries)
    write_archive(tmp_path / "b.zip", entries[::-1])
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


def test_two_entries_of_one_name_are_refused(tmp_path):
    with pytest.raises(ValueError, match="one name"):
        write_archive(tmp_path / "a.zip", [Entry("a", b""), Entry("a", b"1")])
