//! The table of answers, row by row, as the design has it.

use super::*;
use Body::{Empty, ErrorObject, Html, Json, Object, Other, Problem};

fn answer(status: u16, body: Body) -> Response {
    Response { status, body, ..Response::default() }
}

fn verify(response: Response) -> (Availability, Verdict) {
    let reading = read(Probe::Verify, &Outcome::Response(response), Accepted::No);
    (reading.availability, reading.verdict)
}

fn health(response: Response) -> Availability {
    read(Probe::Health, &Outcome::Response(response), Accepted::No).availability
}

fn health_of_an_accepted_session(response: Response) -> Reading {
    read(Probe::Health, &Outcome::Response(response), Accepted::Yes)
}

fn challenged(body: Body, challenge: Challenge) -> (Availability, Verdict) {
    verify(Response { challenge, ..answer(401, body) })
}

#[test]
fn a_2xx_with_proof_is_awake_and_valid() {
    assert_eq!(verify(answer(200, Object)), (Availability::Awake, Verdict::Valid));
    for (status, body) in [(200, Object), (200, Other), (200, Empty), (204, Empty), (200, Json)] {
        assert_eq!(health(answer(status, body)), Availability::Awake);
    }
}

#[test]
fn a_2xx_without_proof_and_a_redirect_are_a_server_that_wakes() {
    assert_eq!(verify(answer(200, Html)), (Availability::Waking, Verdict::Unproven));
    assert_eq!(verify(answer(0, Empty)), (Availability::Waking, Verdict::Redirected));
    assert_eq!(health(answer(200, Html)), Availability::Waking);
    assert_eq!(health(answer(0, Empty)), Availability::Waking);
    for status in [0, 200, 302, 401] {
        let redirected = Response { redirected: true, ..answer(status, Object) };
        assert_eq!(verify(redirected), (Availability::Waking, Verdict::Redirected));
        assert_eq!(health(redirected), Availability::Waking);
    }
}

#[test]
fn a_401_on_verify_is_a_rejection_to_be_confirmed_and_proves_the_server_when_it_proves_itself() {
    let strong = (Availability::Awake, Verdict::Rejected(Grade::Strong));
    for body in [Empty, Object, Json, Html, Other] {
        assert_eq!(challenged(body, Challenge::InvalidToken), strong);
    }
    assert_eq!(challenged(Object, Challenge::Unreadable), strong);
    assert_eq!(challenged(Json, Challenge::Unreadable), strong);
}

#[test]
fn an_unproven_401_is_weak_whether_or_not_its_header_can_be_read() {
    for body in [Empty, Html, Other] {
        for challenge in [Challenge::Unreadable, Challenge::Bare] {
            let weak = (Availability::Nothing, Verdict::Rejected(Grade::Weak));
            assert_eq!(challenged(body, challenge), weak);
        }
    }
    let fastapi = (Availability::Awake, Verdict::Rejected(Grade::Weak));
    assert_eq!(challenged(Object, Challenge::Bare), fastapi);
}

#[test]
fn a_401_of_a_proxy_or_with_an_error_that_a_token_survives_is_no_evidence() {
    for challenge in [Challenge::Foreign, Challenge::Survivable] {
        for body in [Empty, Object, Html] {
            assert_eq!(challenged(body, challenge).1, Verdict::Void);
        }
    }
}

#[test]
fn a_401_that_asks_for_a_password_is_weak_and_proves_nothing_of_the_server() {
    for body in [Empty, Object, Html] {
        let password = (Availability::Nothing, Verdict::Rejected(Grade::Password));
        assert_eq!(challenged(body, Challenge::Password), password);
    }
}

#[test]
fn a_health_path_that_is_not_there_or_wants_a_credential_is_an_awake_api_where_it_says_so_in_json()
{
    for status in [401, 403, 404, 405] {
        for body in [Object, Problem, ErrorObject] {
            assert_eq!(health(answer(status, body)), Availability::Awake);
        }
        assert_eq!(health(answer(status, Html)), Availability::Waking);
        assert_eq!(health(answer(status, Other)), Availability::Waking);
        let page = health_of_an_accepted_session(answer(status, Html));
        assert_eq!((page.availability, page.misplaced), (Availability::Nothing, true));
        let text = health_of_an_accepted_session(answer(status, Other));
        assert_eq!(text.availability, Availability::Awake);
        // A wall in front of everything says 401 and 403 as well.
        assert_eq!(text.corroborates, !matches!(status, 401 | 403));
    }
}

#[test]
fn a_403_and_a_404_of_the_api_are_an_awake_server_and_no_verdict_and_a_page_is_nobodys() {
    assert_eq!(verify(answer(403, Object)), (Availability::Awake, Verdict::Forbidden));
    assert_eq!(verify(answer(404, Object)), (Availability::Awake, Verdict::NotFound));
    for status in [200, 403, 404] {
        assert_eq!(verify(answer(status, Html)), (Availability::Waking, Verdict::Unproven));
    }
}

#[test]
fn a_2xx_that_says_that_something_went_wrong_is_no_proof() {
    for body in [ErrorObject, Problem] {
        let unclear = (Availability::Nothing, Verdict::ErrorShape);
        assert_eq!(verify(answer(200, body)), unclear);
        assert!(matches!(challenged(body, Challenge::Unreadable).1, Verdict::Rejected(_)));
    }
}

#[test]
fn what_a_store_answers_proves_nothing_and_rejects_nothing() {
    for response in [answer(200, Object), answer(401, Object)] {
        let reading = read(Probe::Verify, &Outcome::Response(response), Accepted::Yes);
        let stored = reading.without_proof(Source::Stored);
        assert_eq!(stored.availability, Availability::Waking);
        let unclear = reading.without_proof(Source::Unclear);
        assert_eq!(unclear.availability, Availability::Nothing);
        assert!(matches!(stored.verdict, Verdict::Void | Verdict::Inconclusive));
    }
}

#[test]
fn answers_of_a_server_that_wakes_are_repeated() {
    for status in [408, 421, 425, 502, 503, 504, 520, 522, 530] {
        for body in [Empty, Html, Object] {
            assert_eq!(verify(answer(status, body)), (Availability::Waking, Verdict::NoAnswer));
            assert_eq!(health(answer(status, body)), Availability::Waking);
        }
    }
    for status in [500, 501, 505, 507, 599] {
        assert_eq!(health(answer(status, Object)), Availability::Waking);
    }
}

#[test]
fn where_the_network_or_the_owner_must_act_the_server_is_unreachable() {
    for status in [407, 511, 540] {
        assert_eq!(verify(answer(status, Html)).0, Availability::Unreachable);
        assert_eq!(health(answer(status, Html)), Availability::Unreachable);
    }
}

#[test]
fn a_429_is_an_awake_server() {
    assert_eq!(verify(answer(429, Object)), (Availability::Awake, Verdict::Inconclusive));
    assert_eq!(health(answer(429, Empty)), Availability::Awake);
    assert_eq!(verify(answer(429, Html)), (Availability::Nothing, Verdict::Inconclusive));
    assert_eq!(health(answer(429, Html)), Availability::Nothing);
}

#[test]
fn a_network_error_says_nothing_but_silence() {
    for probe in [Probe::Health, Probe::Verify] {
        assert_eq!(
            read(probe, &Outcome::NoAnswer, Accepted::No).availability,
            Availability::Silent
        );
        assert_ne!(read(probe, &Outcome::NoAnswer, Accepted::No).verdict, Verdict::Valid);
    }
}

#[test]
fn every_other_answer_to_verify_leaves_the_server_to_health_and_the_session_as_it_is() {
    let rest = [
        (500, Object),
        (501, Html),
        (505, Empty),
        (400, Object),
        (402, Object),
        (410, Object),
        (419, Html),
        (440, Html),
        (498, Object),
        (204, Empty),
        (304, Empty),
        (200, Json),
        (200, Other),
        (200, Empty),
        (100, Empty),
    ];
    for (status, body) in rest {
        assert_eq!(verify(answer(status, body)), (Availability::Nothing, Verdict::Inconclusive));
    }
}

#[test]
fn no_status_but_401_can_refuse() {
    for status in (0..=999).filter(|status| *status != 401) {
        for body in [Empty, Object, Json, Html, Other] {
            assert!(!matches!(verify(answer(status, body)).1, Verdict::Rejected(_)), "{status}");
        }
    }
}

#[test]
fn what_the_app_classifies_has_the_last_word() {
    let says = |classified, status, body| {
        verify(Response { classified: Some(classified), ..answer(status, body) })
    };
    assert_eq!(says(Classified::Valid, 204, Empty), (Availability::Awake, Verdict::Valid));
    let strong = (Availability::Awake, Verdict::Rejected(Grade::Strong));
    for (status, body) in [(200, Object), (419, Html), (302, Html), (401, Html)] {
        assert_eq!(says(Classified::Rejected, status, body), strong);
    }
    let challenge = Challenge::Password;
    let classified = Some(Classified::Rejected);
    assert_eq!(verify(Response { classified, challenge, ..answer(401, Html) }), strong);
}
