"""The four signature schemes, as pure functions: request facts in, string to sign and signature out.

Each module is checked against the vendor's published vectors (`tests/sandbox/test_signing_vectors.py`).
"""
