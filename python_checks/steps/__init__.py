"""What units and plays run around a start and a stop; the probes are in checks/."""
