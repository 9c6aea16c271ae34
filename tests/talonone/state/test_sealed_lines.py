"""Lines with a checksum of themselves and of those before them."""

import pytest

from beam_talonone.talonone.state.sealed_lines import sealed, sealed_all, unsealed


def chain(*texts: bytes) -> bytes:
    lines, check = b"", 0
    for text in texts:
        line, check = sealed(text, check)
        lines += line
    return lines


def test_lines_sealed_together_are_those_sealed_one_by_one() -> None:
    begun, check = sealed(b"[0]")
    lines, last = sealed_all([b"[1]", b"", b"[2]"], check)
    assert begun + lines == chain(b"[0]", b"[1]", b"", b"[2]")
    more, _ = sealed_all([b"[3]"], last)
    assert begun + lines + more == chain(b"[0]", b"[1]", b"", b"[2]", b"[3]")
    assert sealed_all([], last) == (b"", last)


def test_a_chain_is_read_back() -> None:
    check, read = 0, []
    for line in chain(b"[1]", b"[2]", b"").splitlines():
        found = unsealed(line, check)
        assert found is not None
        read.append(found[0])
        check = found[1]
    assert read == [b"[1]", b"[2]", b""]


@pytest.mark.parametrize("at", range(12))
def test_a_changed_byte_is_noticed(at: int) -> None:
    line = bytearray(chain(b"[1]")[:-1])
    line[at] ^= 1
    assert unsealed(bytes(line), 0) is None


def test_a_line_that_is_gone_is_noticed() -> None:
    _, second, third = chain(b"[1]", b"[2]", b"[3]").splitlines()
    assert unsealed(second, 0) is None
    first_check = unsealed(chain(b"[1]").strip(), 0)
    assert first_check is not None
    assert unsealed(third, first_check[1]) is None
