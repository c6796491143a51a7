"""All pairs side by side: the same requests to each, and what differs between them."""
