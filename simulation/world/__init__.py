"""The simulated world: servers, network, disks, clocks and what goes wrong with them."""
