"""The claims on a row, against a plain sorted list."""

import time
from random import Random
from unittest import mock

from supervisor.background import row_claims
from supervisor.background.row_claims import QUANTITY, Claim, RowClaims, what_of


def expected(claims: list[Claim], quantity: int) -> int | None:
    freed = 0
    for at_ms, what in sorted(claims):
        freed += what & QUANTITY
        if freed >= quantity:
            return at_ms
    return None


def test_blocks_answer_as_one_list_does() -> None:
    random = Random(7)
    claims: list[Claim] = []
    row = RowClaims()
    with mock.patch.object(row_claims, "BLOCK_CLAIMS_MAX", 3):
        for number in range(600):
            claim = (random.randrange(50), what_of(f"r{random.randrange(99)}") | random.randrange(1, 5))
            if claims and random.random() < (0.3 if number < 300 else 0.8):
                gone = random.choice(claims) if random.random() < 0.8 else claim
                assert row.discard(gone) == (gone in claims)
                if gone in claims:
                    claims.remove(gone)
            else:
                row.add(claim)
                claims.append(claim)
            assert row.is_empty == (not claims)
            assert (list(row), len(row)) == (sorted(claims), len(claims))
            total = sum(what & QUANTITY for _, what in claims)
            for quantity in (1, total // 2 or 1, total or 1, total + 1):
                assert row.freed_at_ms(quantity) == expected(claims, quantity)


def test_a_refusal_on_a_row_with_190_000_claims_is_soon_hinted() -> None:
    row = RowClaims()
    for number in range(190_000):
        row.add((number, what_of(f"r{number}") | 1))
    began_s = time.thread_time()
    for _ in range(10):
        assert row.freed_at_ms(189_500) == 189_499
    assert (time.thread_time() - began_s) / 10 < 0.01
