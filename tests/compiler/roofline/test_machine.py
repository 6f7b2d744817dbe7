from octavo.compiler.roofline.machine import this_machine


def test_facts_are_read_from_the_system(tmp_path):
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(
        "cpu family\t: 26\nmodel\t\t: 2\nmodel name\t: Some CPU\nflags : fma avx2\n\n"
        "model : 9\n"
    )
    rows = (("Data", "1", "48K"), ("Instruction", "1", "32K"), ("Unified", "3", "32M"))
    for index, (kind, level, size) in enumerate(rows):
        folder = tmp_path / f"index{index}"
        folder.mkdir()
        (folder / "type").write_text(kind + "\n")
        (folder / "level").write_text(level + "\n")
        (folder / "size").write_text(size + "\n")
    machine = this_machine(cpuinfo, tmp_path)
    assert machine.cpu == "Some CPU 26 2"
    assert machine.flags == ("avx2", "fma")
    assert machine.caches == ((1, 48 << 10), (3, 32 << 20))


def test_what_the_system_does_not_tell_is_empty(tmp_path):
    machine = this_machine(tmp_path / "none", tmp_path)
    assert (machine.cpu, machine.flags, machine.caches) == ("", (), ())
