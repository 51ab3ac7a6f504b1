"""The exception of the auditor."""


class Wrong(Exception):
    """An answer that nothing explains."""

    def __init__(self, guarantee: str, sentence: str, lsn: int = 0) -> None:
        super().__init__(sentence)
        self.guarantee = guarantee
        self.sentence = sentence
        self.lsn = lsn
