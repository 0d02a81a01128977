//! The backend from outside: its answers without a socket, and its program as a process.

mod answers;
mod commands;
mod cookies;
mod cross_origin;
mod endings;
mod files;
mod foreign_files;
mod hangups;
mod http;
mod killed;
mod limits;
mod listeners;
mod openapi;
mod outage;
mod process;
mod refresh;
mod sessions;
mod signed;
mod stores;
mod support;
mod workers;
