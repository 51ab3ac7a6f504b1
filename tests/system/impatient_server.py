"""`stockkeeper` that takes a reader of changes for slow when it is 15 transactions behind."""

from unittest import mock

from stockkeeper.__main__ import main

if __name__ == "__main__":
    from stockkeeper.serving.grpc_settings import apply_grpc_settings

    apply_grpc_settings()
    with (
        mock.patch("rpc.services.change_stream.BEHIND_MAX", 15),
        mock.patch("stockkeeper.serving.grpc_settings.apply_grpc_settings"),  # it was done
    ):
        main()
