"""The files for each platform: validated, and run as on the platform."""
