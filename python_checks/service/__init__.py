"""A service as its manager and its log know it: state, start, end, remedies."""
