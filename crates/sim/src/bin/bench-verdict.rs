//! Prints the figures of the verdict on the core: false sign-outs, the time to a true one, and
//! what a restart that loses all tokens costs the server.

use session_keeper_sim::bench::stampede;
use session_keeper_sim::bench::verdict::{A_DAY, Dispatch, Figures, History, Plan, measure};

const USAGE: &str = "usage: bench-verdict [--verifications N] [--users N]
  --verifications N  of each row, default 100000
  --users N          of each restart, default 100000";

fn main() {
    let (mut verifications, mut users) = (100_000, 100_000);
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let number = words.next().and_then(|number| number.parse().ok());
        match (word.as_str(), number) {
            ("--verifications", Some(number)) => verifications = number,
            ("--users", Some(number)) => users = number,
            _ => {
                eprintln!("{USAGE}");
                std::process::exit(2);
            }
        }
    }
    verdicts(verifications);
    restarts(users);
}

/// Shares of the connections that each worker of uvicorn took on two cores, in a thousand, as
/// `tests/servers/bench.mjs` measured them once. They differ from one start to the next.
const UVICORN_4: &[u64] = &[417, 268, 215, 100];
const UVICORN_8: &[u64] = &[255, 180, 175, 173, 72, 72, 63, 10];

fn verdicts(verifications: u64) {
    println!(
        "on the core: {verifications} verifications in each row, workers that keep their own tokens"
    );
    println!(
        "a day is {A_DAY} verifications; naive: signed out at the first 401; 1000d: of user-days;"
    );
    println!(
        "named: the mean chance in the evidence of real ends; end: from a revocation that a request"
    );
    println!(
        "of the app meets; requests: for each verification; of naive: false sign-outs of its\n"
    );
    println!(
        "{:<11} {:>7} {:<6} {:>10} {:>10} {:>11} {:>9} {:>9} {:>8} {:>9} {:>9}",
        "dispatch",
        "workers",
        "day",
        "naive/ver",
        "false/ver",
        "false/1000d",
        "named",
        "end p50",
        "end p99",
        "requests",
        "of naive"
    );
    let even = [1, 2, 3, 4, 8, 16];
    let uniform = even.map(|workers| (workers, Dispatch::Uniform));
    let connection = even.map(|workers| (workers, Dispatch::Connection));
    let biased = [(4, Dispatch::Biased(UVICORN_4)), (8, Dispatch::Biased(UVICORN_8))];
    for (workers, dispatch) in uniform.into_iter().chain(connection).chain(biased) {
        for history in [History::None, History::ADay] {
            let revocations = 1_000;
            let plan = Plan { workers, dispatch, history, verifications, revocations };
            print_row(plan, &measure(plan, 1));
        }
    }
}

fn print_row(plan: Plan, figures: &Figures) {
    let Figures { verifications, rejected, false_sign_outs, checks, .. } = *figures;
    let per = |count: u64| count as f64 / verifications as f64;
    let mut ends = figures.ends.clone();
    ends.sort_unstable();
    let at =
        |share: usize| ends.get(ends.len() * share / 100).map_or("-".into(), |ms| seconds(*ms));
    let named = figures.named.iter().sum::<f64>() / figures.named.len().max(1) as f64;
    let dispatch = match plan.dispatch {
        Dispatch::Uniform => "uniform",
        Dispatch::Connection => "connection",
        Dispatch::Biased(_) => "biased",
    };
    let day = if plan.history == History::None { "first" } else { "later" };
    print!("{dispatch:<11} {:>7} {day:<6} ", plan.workers);
    println!(
        "{:>10.4} {:>10.6} {:>11.1} {named:>9.6} {:>9} {:>8} {:>9.2} {:>9.4}",
        per(rejected),
        per(false_sign_outs),
        per(false_sign_outs) * A_DAY as f64 * 1_000.0,
        at(50),
        at(99),
        1.0 + per(checks),
        if rejected == 0 { 0.0 } else { false_sign_outs as f64 / rejected as f64 },
    );
}

fn restarts(users: u64) {
    println!("\na restart that loses all tokens, {users} users, default options\n");
    println!(
        "{:<9} {:>8} {:>12} {:>7} {:>10} {:>9} {:>9} {:>6}",
        "backend", "outage", "most in 6 s", "over 3", "peak/usual", "out p50", "out p99", "left"
    );
    for named in [true, false] {
        for outage_ms in [0, 4_000, 30_000, 90_000] {
            let plan = stampede::Plan { users, outage_ms, named };
            let figures = stampede::measure(plan, 1);
            println!(
                "{:<9} {:>8} {:>12} {:>7} {:>10.1} {:>9} {:>9} {:>6}",
                if named { "named" } else { "nameless" },
                seconds(outage_ms),
                figures.most_in_six,
                figures.over,
                figures.peak,
                seconds(figures.half),
                seconds(figures.nearly_all),
                figures.left
            );
        }
    }
}

fn seconds(ms: u64) -> String {
    format!("{:.1} s", ms as f64 / 1_000.0)
}
