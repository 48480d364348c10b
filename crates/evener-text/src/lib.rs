//! YAML text to events with exact places.
