"""Lines of counts: once more, mostly as they were, and in their places."""

from random import Random

from msgspec.structs import replace

from actors.commands import CountedLine


def away(line: CountedLine) -> int:
    return (line.damaged or 0) + (line.in_transit or 0)


def counted_again(lines: tuple[CountedLine, ...], random: Random, pieces: int) -> tuple[CountedLine, ...]:
    """The same count, mostly as it was: one line has another total, or none has."""
    if random.random() < 0.3:
        return lines
    place = random.randrange(len(lines))
    other = replace(lines[place], total=away(lines[place]) + random.randint(0, pieces * 2))
    return (*lines[:place], other, *lines[place + 1 :])


def numbered(lines: list[CountedLine]) -> list[CountedLine]:
    """The lines in their places, some of them with a reorder point, by what they say."""
    return [replace(_ordered_again(line), line_number=number) for number, line in enumerate(lines, 1)]


def _ordered_again(line: CountedLine) -> CountedLine:
    random = Random(f"{line} reorders")
    return replace(line, reorder_point=random.choice((0, 1, 3))) if random.random() < 0.2 else line
