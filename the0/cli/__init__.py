"""The `the0` command: a thin shell over the control API and over what is on this machine."""
