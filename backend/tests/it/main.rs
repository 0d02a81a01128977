//! The backend from outside: its answers without a socket, and its program as a process.

mod answers;
mod commands;
mod cookies;
mod files;
mod killed;
mod limits;
mod openapi;
mod outage;
mod process;
mod refresh;
mod sessions;
mod signed;
mod stores;
mod support;
mod workers;
