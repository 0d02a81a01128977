//! Lines for the operator, on stderr.
//!
//! Rule: nothing that is handed in holds a token, a password or a query string; stdout carries one
//! line only, the address, for whoever started the server.

use std::fmt;
use std::io::{self, Write};

/// Writes one line. A stderr that is closed or full of errors is no reason to stop serving.
pub(crate) fn line(text: fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}
