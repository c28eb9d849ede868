"""The heart of the host: desired against actual state, decided purely, done in lanes."""
