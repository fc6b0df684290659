"""What the tests share: the leak search, the hostile environment, the socket guard, the runner."""
