//! A Redis or PostgreSQL of its own for tests in other languages, led by lines.
//!
//! Rule: it ends with everything that it has started when stdin closes, and each line is answered
//! by one line. What it knows beyond that is in the library.

#![forbid(unsafe_code)]

use std::env;
use std::io::{self, BufRead as _, Write as _};
use std::process::ExitCode;

use session_keeper_services::{Service, ServiceError};

const USAGE: &str = "\
usage: session-keeper-services redis|postgres
  starts the server and prints `url: URL` when it answers, then reads lines on stdin:
  stop      ends the server in order
  kill      SIGKILL
  start     starts it again, on the same port with the same data
  pause     makes it hang
  resume    ends the pause
  each answered by `done` or `error: REASON`; the end of stdin ends everything
REDIS_SERVER: the program; POSTGRES_BIN: the folder with initdb and postgres";

fn main() -> ExitCode {
    let wishes: Vec<_> = env::args().skip(1).collect();
    let started = match wishes.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["redis"] => Service::redis(),
        ["postgres"] => Service::postgres(),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match started {
        // A reader that is gone is an end as good as that of stdin.
        Ok(service) => {
            let _ = obey(service);
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn obey(mut service: Service) -> io::Result<()> {
    say(&format!("url: {}", service.url()))?;
    for line in io::stdin().lock().lines() {
        let line = line?;
        let answer = match line.trim() {
            "stop" => told(service.stop()),
            "kill" => told(service.kill()),
            "start" => told(service.start()),
            "pause" => told(service.pause()),
            "resume" => told(service.resume()),
            _ => "error: the orders are stop, kill, start, pause and resume".into(),
        };
        say(&answer)?;
    }
    Ok(())
}

fn told(outcome: Result<(), ServiceError>) -> String {
    match outcome {
        Ok(()) => "done".into(),
        // One line for each answer.
        Err(error) => format!("error: {error}").replace('\n', " / "),
    }
}

fn say(line: &str) -> io::Result<()> {
    let mut stdout = io::stdout();
    writeln!(stdout, "{line}")?;
    stdout.flush()
}
