"""Routes commands to actors, makes transactions all or nothing, and starts, watches and restarts it all."""
