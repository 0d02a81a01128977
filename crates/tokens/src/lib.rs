//! session-keeper-tokens
