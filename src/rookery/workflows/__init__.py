"""What takes several packages? Used by the gateway and the command line."""
