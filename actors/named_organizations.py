"""Which organizations a command is about."""

from collections.abc import Collection

from actors.commands import Command, DropStaged, Import, ImportStaged, StageLines


def named_organizations(command: Command) -> Collection[str]:
    """Each once. A part of an import is about none before the import is decided."""
    if isinstance(command, Import):
        return {line.organization_id for line in command.lines}
    if isinstance(command, ImportStaged):
        return command.organizations
    if isinstance(command, StageLines | DropStaged):
        return ()
    return (command.organization_id,)
