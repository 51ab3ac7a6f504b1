"""What a page of a list says of itself in `message`."""


def page_text(number: int, noun: str, next_page_token: str) -> str:
    """How many are on this page, and whether it is the last.

    >>> page_text(1, "warehouse", ""), page_text(100, "row", "token")
    ('1 warehouse', '100 rows; more may follow')
    """
    more = "; more may follow" if next_page_token else ""
    return f"{number} {noun}{more}" if number == 1 else f"{number} {noun}s{more}"
