//! session-keeper-core
