"""The tests. `tests/run` runs them in a closed network and a hostile environment."""
