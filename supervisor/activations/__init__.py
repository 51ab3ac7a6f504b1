"""What is in memory: directories of activations, how they load, and what spares a look-up."""
