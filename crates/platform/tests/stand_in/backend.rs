//! Stands in for the reference backend in the platform's tests.
//!
//! Rule: the same command line and ready line, no dependencies, and ways to misbehave that a real
//! backend must not have.

use std::env;
use std::fs;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{self, ExitCode};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

static CONNECTIONS: AtomicU32 = AtomicU32::new(0);

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        ["serve", options @ ..] => serve(options),
        ["user", "add", name, options @ ..] => add_user(name, options),
        ["token", "revoke", "--all", options @ ..] => fs::write(store(options), "revoked"),
        _ => Err(io::Error::other("unknown arguments")),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("stand-in: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve(options: &[&str]) -> io::Result<()> {
    let listener = TcpListener::bind(value(options, "--listen"))?;
    println!("listening on http://{}", listener.local_addr()?);
    let store = store(options);
    let origins = values(options, "--allow-origin").join(" ");
    for stream in listener.incoming() {
        let (store, origins, stream) = (store.clone(), origins.clone(), stream?);
        thread::spawn(move || serve_connection(stream, &store, &origins));
    }
    Ok(())
}

fn serve_connection(stream: TcpStream, store: &str, origins: &str) -> io::Result<()> {
    let connection = CONNECTIONS.fetch_add(1, Ordering::Relaxed);
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut stream = stream;
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head)? == 0 {
                return Ok(());
            }
        }
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
        });
        let mut body = vec![0; length.unwrap_or(0)];
        reader.read_exact(&mut body)?;
        let target = head.split(' ').nth(1).unwrap_or_default();
        let path = target.split('?').next().unwrap_or_default();
        match path {
            "/api/health" => {
                let leaked = env::var_os("PLATFORM_SECRET").is_some();
                let pid = process::id();
                let named = format!(r#""origins":"{origins}","leaked":{leaked}"#);
                let json = format!(r#"{{"pid":{pid},"connection":{connection},{named}}}"#);
                answer(&mut stream, "200 OK", "Keep-Alive: timeout=5\r\n", json.as_bytes())?;
            }
            "/auth/login" => {
                fs::write(store, "token")?;
                answer(&mut stream, "200 OK", "", b"{}")?;
            }
            "/auth/me" if fs::read(store).is_ok_and(|tokens| tokens == b"token") => {
                answer(&mut stream, "200 OK", "", b"{}")?;
            }
            "/auth/me" => {
                let headers = "Connection: close\r\nWWW-Authenticate: Bearer\r\n";
                return answer(&mut stream, "401 Unauthorized", headers, b"{}");
            }
            "/api/echo" => answer(&mut stream, "200 OK", "", &body)?,
            "/api/head" => answer(&mut stream, "200 OK", "", head.as_bytes())?,
            "/api/silent" => loop {
                thread::park();
            },
            "/api/half" => {
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")?;
                loop {
                    thread::park();
                }
            }
            "/api/die" => process::exit(3),
            _ => answer(&mut stream, "404 Not Found", "", b"{}")?,
        }
    }
}

fn answer(stream: &mut TcpStream, status: &str, headers: &str, body: &[u8]) -> io::Result<()> {
    let length = body.len();
    write!(stream, "HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\n\r\n")?;
    stream.write_all(body)
}

fn add_user(name: &str, options: &[&str]) -> io::Result<()> {
    let mut password = String::new();
    io::stdin().read_to_string(&mut password)?;
    if !options.contains(&"--replace") || !options.contains(&"--password-stdin") {
        return Err(io::Error::other("a second start would fail"));
    }
    fs::write(value(options, "--users"), format!("{name} {password}"))
}

fn store(options: &[&str]) -> String {
    value(options, "--store").trim_start_matches("sqlite:").to_owned()
}

fn value<'a>(options: &[&'a str], name: &str) -> &'a str {
    values(options, name).first().copied().unwrap_or_default()
}

fn values<'a>(options: &[&'a str], name: &str) -> Vec<&'a str> {
    options.windows(2).filter(|pair| pair[0] == name).map(|pair| pair[1]).collect()
}
