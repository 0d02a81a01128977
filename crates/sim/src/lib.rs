//! session-keeper-sim
