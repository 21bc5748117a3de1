//! Browser edges.
