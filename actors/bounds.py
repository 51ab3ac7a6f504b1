"""The bounds of everything a caller can send, checked at the door, so that the core may assert them."""

INT32_MAX = 2**31 - 1

ID_CHARACTERS_MAX = 128
LINES_MAX = 1_000
TTL_MINUTES_DEFAULT = 15
TTL_MINUTES_MAX = 44_640  # 31 days
IMPORT_LINES_MAX = 1_000_000
IMPORT_MESSAGE_LINES_MAX = 200_000  # of these, in one message of the stream
NOTE_CHARACTERS_MAX = 512  # a reason or a reference
RESERVATIONS_LOOKED_AT_MAX = 2_000  # for one page, where those that match have to be found among others
LINES_LOOKED_AT_MAX = 10_000  # lines that these have together
ALTERNATIVES_MAX = 5  # warehouses that a refusal names in place of the one that falls short
NEW_ORGANIZATIONS_MAX = 100  # that the answer to an import names
WAREHOUSES_MAX = 10_000  # of an organization: all are in memory, and one that closes is a step over all closed ones
STOCK_LOOKS_MAX = 10_000  # rows that one page of a search by figures looks at
LINE_ERRORS_MAX = 1_000  # bad lines of an import that a refusal names
UNCOVERED_MAX = 200  # reservations that one adjustment releases, since that is one step
UNCOVERED_LINES_MAX = 2_000  # lines that these have together
