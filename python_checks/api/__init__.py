"""What a served model says over HTTP: requests, replies, streams, tool calls, metrics."""
