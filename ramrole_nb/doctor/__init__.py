"""The troubleshooter: what a pasted error means, and what is wrong with an instance's way to an object."""
