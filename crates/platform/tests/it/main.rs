//! The platform from outside: its real binary, a stand-in for the backend, real sockets.

mod backend;
mod control;
mod faults;
mod harness;
mod pages;
mod waking;
