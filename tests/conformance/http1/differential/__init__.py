"""Play the same bytes to Evener, nginx and HAProxy before one strict origin; list differences."""
