//! The services from outside: the real servers, their real protocols, a real owner that dies.

mod owner;
mod postgres;
mod processes;
mod redis;
mod wire;
