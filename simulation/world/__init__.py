"""What happens in a run: servers, the network, their clients and a look into their memory."""
