"""Where stock is kept: the options of all commands that open the database themselves."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from stockkeeper.config import DEFAULT_DATABASE_URL, ConfigurationError


@dataclass(frozen=True, kw_only=True)
class DatabaseOptions:
    """The database, and its password if that is in a file."""

    database_url: Annotated[str, Parameter(help="Where stock is kept.", env_var="DATABASE_URL")] = DEFAULT_DATABASE_URL
    database_password_file: Annotated[
        str, Parameter(help="A file with the password of a Postgres database.", env_var="DATABASE_PASSWORD_FILE")
    ] = ""
    database_schema: Annotated[
        str,
        Parameter(
            help="The schema of a Postgres database where the tables are; it is made if it is missing.",
            env_var="DATABASE_SCHEMA",
        ),
    ] = ""

    @property
    def url(self) -> str:
        """The database URL, with what the other options say.

        Raises:
            ConfigurationError: one of them cannot be used.
        """
        if not (self.database_password_file or self.database_schema):
            return self.database_url
        from storage.sql.database_url import complete_url

        try:
            return complete_url(self.database_url, self._password(), self.database_schema)
        except ValueError as error:
            raise ConfigurationError(f"{str(error)[:1].upper()}{str(error)[1:]}.") from None

    def _password(self) -> str:
        path = self.database_password_file
        if not path:
            return ""
        try:
            lines = Path(path).read_text(encoding="utf-8").splitlines()
        except OSError as error:
            raise ConfigurationError(f"The password file {path} cannot be read: {error.strerror}.") from None
        except UnicodeDecodeError:
            raise ConfigurationError(f"The password file {path} is not UTF-8.") from None
        if not lines or not lines[0]:
            raise ConfigurationError(f"The password file {path} has no password in its first line.")
        return lines[0]


Database = Annotated[DatabaseOptions, Parameter(name="*")]
DEFAULT_DATABASE = DatabaseOptions()
