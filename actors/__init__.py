"""The ground floor: values, messages, pure state machines and the mailbox. No SQL, no gRPC, no clock of its own."""
