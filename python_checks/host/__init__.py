"""Facts about the host: processes, users, sockets, control groups, who may write where."""
