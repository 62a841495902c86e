//! The server: API, sockets, jobs, pages and the command line in one binary. `app` is the composition root, `engine` what
//! every process runs; `config`, `http`, `gateway`, `admin`, `pages`, `telemetry` and `cli` are its rooms. `http` and `gateway`
//! hold no rule of the platform.

mod admin;
pub mod app;
pub mod cli;
pub mod config;
mod demo;
mod elsewhere;
pub mod engine;
pub mod gateway;
pub mod http;
pub mod pages;
pub mod telemetry;
mod unfit;
