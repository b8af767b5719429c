"""What a log tells: phases of a start, why a server ended, remedies by table."""
