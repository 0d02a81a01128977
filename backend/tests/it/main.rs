//! The backend from outside: its answers without a socket, and its program as a process.

mod answers;
mod commands;
mod files;
mod process;
mod sessions;
mod stores;
mod support;
