//! What a million live tokens in memory weigh, and what a lookup and a sign-in take among them.
//!
//! Rule: it asks the store that the server opens, through the same calls; it prints one line of
//! JSON and judges nothing. Sign-ins would take hours, because of their password hash: rows are
//! made here, as a sign-in makes them.

use std::error::Error;
use std::fs;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use session_keeper_backend::StoreChoice;
use session_keeper_backend::store::{OpenMode, Reads, Row, Store, open};
use session_keeper_backend::tokens::{Device, Lifetime, Session, SessionId, Token, UnixMillis};

const TOKENS: u64 = 1_000_000;
const MEASURED: u64 = 100_000;
const DEVICE: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Firefox/140.0";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let store = open(&StoreChoice::Memory, Reads::EachChange, OpenMode::CreateIfMissing).await?;
    let before = resident_kib()?;
    for number in 0..TOKENS {
        store.insert(&[row(number)], now()).await?;
    }
    let after = resident_kib()?;
    let find = found(&*store).await?;
    let insert = inserted(&*store).await?;
    println!(
        "{{\"tokens\":{TOKENS},\"kibBefore\":{before},\"kib\":{after},\
         \"findNs\":{},\"findP99Ns\":{},\"insertNs\":{},\"insertP99Ns\":{}}}",
        at(&find, 50),
        at(&find, 99),
        at(&insert, 50),
        at(&insert, 99)
    );
    Ok(())
}

async fn found(store: &dyn Store) -> Result<Vec<Duration>, Box<dyn Error>> {
    let mut took = Vec::new();
    for number in 0..MEASURED {
        // In no order, as requests come.
        let (hash, _) = row(mixed(number) % TOKENS);
        let started = Instant::now();
        let session = store.find(hash).await?;
        took.push(started.elapsed());
        assert!(session.is_some(), "it was inserted");
    }
    Ok(took)
}

async fn inserted(store: &dyn Store) -> Result<Vec<Duration>, Box<dyn Error>> {
    let mut took = Vec::new();
    for number in TOKENS..TOKENS + MEASURED {
        let (rows, now) = ([row(number)], now());
        let started = Instant::now();
        store.insert(&rows, now).await?;
        took.push(started.elapsed());
    }
    Ok(took)
}

/// As a sign-in makes it, of a user whose name has 20 characters.
fn row(number: u64) -> Row {
    let mut random = [0; 32];
    for (index, bytes) in (0..).zip(random.chunks_exact_mut(8)) {
        bytes.copy_from_slice(&mixed(number * 4 + index).to_ne_bytes());
    }
    let mut id = [0; 16];
    id.copy_from_slice(&random[8..24]);
    let (id, device) = (SessionId::from(id), Device::from_user_agent(DEVICE));
    let name = format!("user{number:07}@mail.tld");
    let session = Session::begin(id, &name, device, now(), Lifetime::default());
    (Token::from_random(random).hash(), session)
}

/// SplitMix64: the same for the same number, and spread as random bytes are.
fn mixed(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

fn now() -> UnixMillis {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixMillis(u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX))
}

/// The nanoseconds that so many of a hundred stay below.
fn at(took: &[Duration], percent: usize) -> u128 {
    let mut sorted = took.to_vec();
    sorted.sort_unstable();
    sorted[sorted.len() * percent / 100].as_nanos()
}

fn resident_kib() -> Result<u64, Box<dyn Error>> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
    Ok(kib.ok_or("this system does not tell its memory")?.parse()?)
}
