//! What can be asked of the control, read from JSON.
//!
//! Rule: an order is either wholly understood or refused with a sentence that names the field;
//! nothing is carried out in part.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use hyper::StatusCode;
use hyper::header::{CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING};
use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use crate::faults::{Cors, Ending, Fault, FaultAnswer, FaultPath};
use crate::settings::{SettingsChange, WhileWaking, idle};
use crate::supervisor::Action;

/// One order of the control.
#[derive(Debug)]
pub(crate) enum Order {
    Act(Action),
    Configure(SettingsChange),
    Fault(Box<Fault>),
    Clear,
}

/// A sentence that names what is wrong.
pub(crate) type Mistake = String;

/// `action`, beside the fields of its own that each action has.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Name {
    Sleep,
    Stop,
    Wake,
    Restart,
    Kill,
    RestartLosingTokens,
    Revoke,
    Configure,
    Fault,
    Clear,
}

pub(crate) fn parse(body: &[u8]) -> Result<Order, Mistake> {
    let value: Value = serde_json::from_slice(body).map_err(|_| "the body must be JSON")?;
    let Value::Object(mut fields) = value else { return Err("the body must be an object".into()) };
    // Taken out first: of an enum that is tagged inside, serde tells no path of a wrong field.
    let name = fields.remove("action").unwrap_or(Value::Null);
    let name = Name::deserialize(name).map_err(|error| format!("action: {error}"))?;
    let act = |action| nothing_else(&fields).map(|()| Order::Act(action));
    match name {
        Name::Sleep => act(Action::Sleep),
        Name::Stop => act(Action::Stop),
        Name::Wake => act(Action::Wake),
        Name::Restart => act(Action::Restart),
        Name::Kill => act(Action::Kill),
        Name::RestartLosingTokens => act(Action::RestartLosingTokens),
        Name::Revoke => act(Action::Revoke),
        Name::Clear => nothing_else(&fields).map(|()| Order::Clear),
        Name::Configure => read::<ConfigureFields>(fields).map(|of| Order::Configure(of.into())),
        Name::Fault => {
            read::<FaultFields>(fields).and_then(|of| Ok(Order::Fault(Box::new(of.into_fault()?))))
        }
    }
}

fn nothing_else(fields: &Map<String, Value>) -> Result<(), Mistake> {
    match fields.keys().next() {
        None => Ok(()),
        Some(name) => Err(format!("{name} is not a field of this action")),
    }
}

fn read<T: DeserializeOwned>(fields: Map<String, Value>) -> Result<T, Mistake> {
    serde_path_to_error::deserialize(Value::Object(fields)).map_err(|error| {
        let path = error.path().to_string();
        if path == "." { error.into_inner().to_string() } else { error.to_string() }
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ConfigureFields {
    idle_ms: Option<u32>,
    wake_ms: Option<u32>,
    while_waking: Option<WhileWaking>,
    retry_after_seconds: Option<u32>,
}

impl From<ConfigureFields> for SettingsChange {
    fn from(fields: ConfigureFields) -> Self {
        Self {
            idle: fields.idle_ms.map(idle),
            wake: fields.wake_ms.map(milliseconds),
            while_waking: fields.while_waking,
            retry_after: fields
                .retry_after_seconds
                .map(|seconds| Duration::from_secs(seconds.into())),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FaultFields {
    #[serde(deserialize_with = "fault_path")]
    path: FaultPath,
    times: Option<u32>,
    answer: AnswerFields,
}

impl FaultFields {
    fn into_fault(self) -> Result<Fault, Mistake> {
        if self.times == Some(0) {
            return Err("times must be at least 1, or left out to last until cleared".into());
        }
        let answer = self.answer.into_answer().map_err(|error| format!("answer.{error}"))?;
        Ok(Fault { path: self.path, times: self.times, answer })
    }
}

fn fault_path<'de, D: Deserializer<'de>>(from: D) -> Result<FaultPath, D::Error> {
    match String::deserialize(from)?.as_str() {
        "*" => Ok(FaultPath::Any),
        path if path.starts_with('/') && !path.contains(['?', '#']) => {
            Ok(FaultPath::Exact(path.to_owned()))
        }
        _ => Err(D::Error::custom("it must be \"*\" or a path such as /auth/me")),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct AnswerFields {
    status: Option<u16>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    body: String,
    #[serde(default)]
    cors: bool,
    #[serde(default)]
    headers_after_ms: u32,
    stall_after_bytes: Option<u32>,
    break_after_bytes: Option<u32>,
    #[serde(default)]
    endless: bool,
    #[serde(default)]
    drop: bool,
}

impl AnswerFields {
    fn into_answer(self) -> Result<FaultAnswer, Mistake> {
        let status = self.status.unwrap_or(200);
        let status = Some(status).filter(|code| (200..=599).contains(code));
        let status = status.and_then(|code| StatusCode::from_u16(code).ok());
        Ok(FaultAnswer {
            status: status.ok_or("status must be 200 to 599")?,
            ending: self.ending()?,
            headers: headers(&self.headers)?,
            body: Bytes::from(self.body),
            cors: if self.cors { Cors::Readable } else { Cors::Opaque },
            delay: milliseconds(self.headers_after_ms),
        })
    }

    fn ending(&self) -> Result<Ending, Mistake> {
        let stall = self.stall_after_bytes.map(|bytes| Ending::StallAfter(bytes as usize));
        let cut = self.break_after_bytes.map(|bytes| Ending::BreakAfter(bytes as usize));
        let endless = self.endless.then_some(Ending::Endless);
        let endings = [stall, cut, endless, self.drop.then_some(Ending::Drop)];
        let mut asked = endings.into_iter().flatten();
        match (asked.next(), asked.next()) {
            (ending, None) => Ok(ending.unwrap_or(Ending::Whole)),
            (_, Some(_)) => Err("ending: only one of stallAfterBytes, breakAfterBytes, endless \
                                 and drop can be used"
                .into()),
        }
    }
}

fn headers(named: &BTreeMap<String, String>) -> Result<HeaderMap, Mistake> {
    let mut headers = HeaderMap::new();
    for (name, value) in named {
        let wrong = || format!("headers: {name:?} must be a header's name and a text");
        let header: HeaderName = name.parse().map_err(|_| wrong())?;
        if header == CONTENT_LENGTH || header == TRANSFER_ENCODING {
            return Err(format!("headers: {header} follows from the body, leave it out"));
        }
        headers.insert(header, HeaderValue::from_str(value).map_err(|_| wrong())?);
    }
    Ok(headers)
}

fn milliseconds(number: u32) -> Duration {
    Duration::from_millis(number.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mistake(body: &str) -> String {
        parse(body.as_bytes()).expect_err("this order is wrong")
    }

    #[test]
    fn every_mistake_names_its_field() {
        assert!(mistake("[]").contains("the body"));
        assert!(mistake("{}").contains("action"));
        assert!(mistake(r#"{"action":"explode"}"#).contains("explode"));
        assert!(mistake(r#"{"action":"sleep","hard":true}"#).contains("hard"));
        assert!(mistake(r#"{"action":"configure","hard":true}"#).contains("hard"));
        assert!(mistake(r#"{"action":"configure","wakeMs":-1}"#).contains("wakeMs"));
        assert!(mistake(r#"{"action":"configure","whileWaking":"nap"}"#).contains("whileWaking"));
        assert!(mistake(r#"{"action":"fault","path":"/"}"#).contains("answer"));
        assert!(mistake(r#"{"action":"fault","path":"x","answer":{}}"#).contains("path"));
        let fault = |answer: &str| {
            mistake(&format!(r#"{{"action":"fault","path":"/auth/me","answer":{answer}}}"#))
        };
        assert!(fault(r#"{"status":101}"#).contains("answer.status"));
        assert!(fault(r#"{"cors":"yes"}"#).contains("answer.cors"));
        assert!(fault(r#"{"speed":1}"#).contains("answer.speed"));
        assert!(fault(r#"{"headers":{"content-length":"3"}}"#).contains("content-length"));
        assert!(fault(r#"{"headers":{"a b":"c"}}"#).contains("a b"));
        assert!(fault(r#"{"endless":true,"drop":true}"#).contains("endless"));
    }

    #[test]
    fn idle_zero_means_never() {
        let order = parse(br#"{"action":"configure","idleMs":0}"#).expect("this order is right");

        let Order::Configure(change) = order else { panic!("not a configuration: {order:?}") };
        assert_eq!(change.idle, Some(None));
    }
}
