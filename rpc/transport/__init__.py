"""What carries calls: sockets, addresses and gRPC."""
