//! The files, and nothing but the files.

use std::os::unix::fs::symlink;

use crate::harness::{Platform, SECRET, request};

#[test]
fn the_start_page_alone_learns_the_secret_and_the_apis_origin() {
    let platform = Platform::start(&[]);

    let expected = format!("{SECRET} http://127.0.0.1:{}", platform.api_port);
    for path in ["/", "/index.html", "/?query"] {
        let page = platform.fetch(path).expect("an answer");
        assert_eq!(page.text(), expected);
        assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
        assert_eq!(page.header("cache-control"), Some("no-cache"));
    }
    let package = platform.fetch("/session-keeper/index.js").expect("an answer");
    assert_eq!(package.text(), "// {{platform-secret}}");
    assert_eq!(package.header("content-type"), Some("text/javascript; charset=utf-8"));
    let module = platform.fetch("/deep/app.mjs").expect("an answer");
    assert_eq!(module.header("content-type"), Some("text/javascript; charset=utf-8"));
}

#[test]
fn a_foreign_name_that_leads_here_does_not_read_the_secret() {
    let platform = Platform::start(&[]);

    let host = format!("Host: evil.example:{}\r\n", platform.port);
    let answer = request(platform.port, "GET", "/", &host, "").expect("an answer");

    assert_eq!(answer.status, 403);
    assert!(!answer.text().contains(SECRET));
}

#[test]
fn nothing_outside_the_folders_is_served() {
    let platform = Platform::start(&[]);
    let outside = platform.www().with_file_name("secret.txt");
    symlink(&outside, platform.www().join("link.txt")).expect("a link");
    symlink(outside.parent().expect("a folder"), platform.www().join("up")).expect("a link");

    for path in [
        "/../secret.txt",
        "/%2e%2e/secret.txt",
        "/deep/..%2f..%2fsecret.txt",
        "/deep/../../secret.txt",
        "/session-keeper/../secret.txt",
        "/session-keeper/%2e%2e%2fsecret.txt",
        "/session-keeper//secret.txt",
        "/..%5csecret.txt",
        "/link.txt",
        "/up/secret.txt",
        "/.hidden",
        "/deep",
        "/deep/",
        "/%00",
        "/%zz",
        "/missing.html",
    ] {
        let answer = platform.fetch(path).expect("an answer");
        assert_eq!(answer.status, 404, "{path}");
        assert!(!answer.text().contains("outside"));
    }
    let absolute = platform.fetch(&format!("/{}", outside.display())).expect("an answer");
    assert_eq!(absolute.status, 404);
}

#[test]
fn pages_can_only_be_read() {
    let platform = Platform::start(&[]);

    let head = request(platform.port, "POST", "/index.html", "", "{}").expect("an answer");

    assert_eq!((head.status, head.header("allow")), (405, Some("GET, HEAD")));
}
