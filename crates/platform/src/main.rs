//! The front door for demo and tests: really starts, stops and breaks the reference backend.
//!
//! Rule: loopback only, one secret for each run, and no backend that outlives it. It knows the
//! backend's command line and nothing of its insides; the backend knows nothing of it.

mod body;
mod control;
mod faults;
mod front;
mod launch;
mod options;
mod orders;
mod pages;
mod process;
mod proxy;
mod request_log;
mod settings;
mod status;
mod supervisor;
mod traffic;
mod unending;
mod upstream;

use std::env;
use std::fs::DirBuilder;
use std::io::Write as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::process::ExitCode;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

use crate::control::{Control, DemoOrigins};
use crate::front::Front;
use crate::options::Options;
use crate::pages::Pages;
use crate::process::{BackendCommand, say};
use crate::proxy::Proxy;
use crate::supervisor::{Action, Supervisor};

fn main() -> ExitCode {
    let mut arguments = env::args_os().skip(1).peekable();
    if arguments.next_if(|first| first == launch::LAUNCH).is_some() {
        return launch::launch(arguments);
    }
    let options = match Options::of_process() {
        Ok(options) => options,
        Err(mistake) => {
            say(&format!("error: {mistake}"));
            return ExitCode::from(2);
        }
    };
    // One thread: the backend's life is tied to the thread that starts it.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let outcome = match runtime {
        Ok(runtime) => runtime.block_on(run(options)),
        Err(error) => Err(format!("the runtime cannot start: {error}")),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(sentence) => {
            say(&format!("error: {sentence}"));
            ExitCode::FAILURE
        }
    }
}

async fn run(options: Options) -> Result<(), String> {
    let signals = "the signals cannot be watched";
    let mut terminate = signal(SignalKind::terminate()).map_err(|e| format!("{signals}: {e}"))?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(|e| format!("{signals}: {e}"))?;
    let ended = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    let front = bind(options.port, "--port")?;
    let api = bind(options.api_port, "--api-port")?;
    let (demo, command) = prepare(&options, port_of(&front)?).await?;

    let (stop, stopped) = oneshot::channel();
    let (supervisor, handle) = Supervisor::new(command, options.settings);
    let supervised = tokio::spawn(supervisor.run(async {
        // A sender that is gone says the same.
        let _: Result<(), _> = stopped.await;
    }));
    let proxy = Arc::new(Proxy {
        supervisor: handle,
        faults: faults::Faults::default(),
        log: request_log::RequestLog::default(),
    });
    let outcome = tokio::select! {
        () = ended => Ok(()),
        outcome = serve(options, demo, proxy, front, api) => outcome,
    };
    drop(stop);
    // Whatever is still held or streaming ends with the runtime; the backend ends here.
    let _ = supervised.await;
    outcome
}

/// The folder, the users and the way to start the backend.
async fn prepare(options: &Options, port: u16) -> Result<(DemoOrigins, BackendCommand), String> {
    let data = &options.data;
    let made = DirBuilder::new().recursive(true).mode(0o700).create(data);
    made.map_err(|error| format!("--data: {} cannot be made: {error}", data.display()))?;
    let demo = DemoOrigins::new(port);
    let origins = demo.origins().chain(options.allow_origins.iter().cloned()).collect();
    let command = BackendCommand::new(options.backend.clone(), data.clone(), origins);
    let command = command.map_err(|error| format!("this program's own file is gone: {error}"))?;
    let command = command.with(options.store.clone(), options.backend_args.clone());
    for user in &options.users {
        let added = command.add_user(&user.name, &user.password).await;
        added.map_err(|error| format!("the user {:?} was not made: {error}", user.name))?;
    }
    Ok((demo, command))
}

async fn serve(
    options: Options,
    demo: DemoOrigins,
    proxy: Arc<Proxy>,
    front: TcpListener,
    api: TcpListener,
) -> Result<(), String> {
    let (port, api_port) = (port_of(&front)?, port_of(&api)?);
    let started = proxy.supervisor.order(Action::Restart).await;
    started.ok_or("the platform is shutting down")?.map_err(|error| error.to_string())?;
    let api_origin = format!("http://127.0.0.1:{api_port}");
    let pages = Pages::new(options.www, options.package, options.secret.clone(), api_origin);
    let control = Control::new(Arc::clone(&proxy), options.secret, demo.clone());
    let front_door = Front { demo, control, pages, proxy: Arc::clone(&proxy) };
    // Nobody has to read it.
    let _ = writeln!(
        std::io::stdout(),
        "demo: http://127.0.0.1:{port}/\napi: http://127.0.0.1:{api_port}\ncontrol: {port} ready"
    );
    tokio::select! {
        never = front_door.serve(front) => match never {},
        failed = front::serve_api(proxy, api) => match failed {
            Ok(never) => match never {},
            Err(error) => Err(format!("the API's port was lost: {error}")),
        },
    }
}

fn bind(port: u16, option: &str) -> Result<TcpListener, String> {
    front::bind(port).map_err(|error| {
        let why = if error.kind() == std::io::ErrorKind::AddrInUse {
            "is taken".to_owned()
        } else {
            format!("cannot be opened: {error}")
        };
        format!("port {port} {why}; choose another with {option} N, or 0 for any free one")
    })
}

fn port_of(listener: &TcpListener) -> Result<u16, String> {
    let address = listener.local_addr();
    address.map(|address| address.port()).map_err(|error| format!("a port was lost: {error}"))
}
