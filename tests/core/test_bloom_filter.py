"""The filter of known keys: it forgets none, and takes memory as it fills."""

from stockkeeper.serving.memory_return import resident_bytes
from supervisor.activations.bloom_filter import BloomFilter

LARGE_BITS = 1 << 30  # 128 MiB


def test_no_key_is_forgotten_and_few_others_are_taken_for_one() -> None:
    known = BloomFilter(bits=1 << 16, hash_key=lambda key: int(key[1]) * 0x9E3779B97F4A7C15 % (1 << 64))
    known.is_filled = True
    for number in range(1_000):
        known.add(("o", str(number)))
    assert all(known.may_contain(("o", str(number))) for number in range(1_000))
    assert sum(known.may_contain(("o", str(number))) for number in range(1_000, 11_000)) < 100
    bits, bits_set = known.statistics().bits, known.statistics().bits_set
    assert bits == 1 << 16
    assert 3_800 < bits_set <= 4_000  # four a key, of which some meet


def test_an_empty_one_takes_no_memory() -> None:
    before_bytes = resident_bytes()
    known = BloomFilter(LARGE_BITS)
    known.add(("o", "1"))
    assert resident_bytes() - before_bytes < LARGE_BITS // 8 / 2
