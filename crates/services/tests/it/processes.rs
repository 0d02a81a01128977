//! The processes below another, as `/proc` tells.

use std::fs;

/// All of them, whatever groups and sessions they are in.
pub(crate) fn descendants(ancestor: u32) -> Vec<u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let pids: Vec<u32> = names.filter_map(|name| name.parse().ok()).collect();
    let mut found = vec![ancestor];
    let mut at = 0;
    while let Some(parent) = found.get(at).copied() {
        let of_parent = |pid: &&u32| state_and_parent(**pid).is_some_and(|(_, of)| of == parent);
        found.extend(pids.iter().filter(of_parent));
        at += 1;
    }
    found.split_off(1)
}

/// A zombie is gone: its parent has only not looked yet.
pub(crate) fn is_gone(pid: u32) -> bool {
    state_and_parent(pid).is_none_or(|(state, _)| state == "Z")
}

fn state_and_parent(pid: u32) -> Option<(String, u32)> {
    let line = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = line.rsplit_once(") ")?;
    let mut words = rest.split(' ');
    Some((words.next()?.to_owned(), words.next()?.parse().ok()?))
}
