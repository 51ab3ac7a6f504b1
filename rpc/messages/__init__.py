"""Between bytes and the core's values: parsing, validation, responses, errors and their details."""
