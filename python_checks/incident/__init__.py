"""What explains a hang, kept before the restart that ends it: stacks, requests, the GPUs' and the kernel's lines, the end of the log."""
