//! What can be asked of the control, read from JSON.
//!
//! Rule: an order is either wholly understood or refused with a sentence that names the field;
//! nothing is carried out in part.

use std::time::Duration;

use bytes::Bytes;
use hyper::StatusCode;
use hyper::header::{CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING};
use serde_json::{Map, Value};

use crate::faults::{Cors, Ending, Fault, FaultAnswer, FaultPath};
use crate::options::idle;
use crate::settings::{SettingsChange, WhileWaking};
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

const ACTIONS: [(&str, Action); 7] = [
    ("sleep", Action::Sleep),
    ("stop", Action::Stop),
    ("wake", Action::Wake),
    ("restart", Action::Restart),
    ("kill", Action::Kill),
    ("restart-losing-tokens", Action::RestartLosingTokens),
    ("revoke", Action::Revoke),
];
const OTHERS: [&str; 3] = ["configure", "fault", "clear"];

pub(crate) fn parse(body: &[u8]) -> Result<Order, Mistake> {
    let value = serde_json::from_slice(body).map_err(|_| "the body must be JSON")?;
    let mut fields = Fields::of(value, "")?;
    let name = fields.text("action")?.ok_or_else(|| format!("action is missing, {}", actions()))?;
    let order = match name.as_str() {
        "configure" => Order::Configure(settings_change(&mut fields)?),
        "fault" => Order::Fault(Box::new(fault(&mut fields)?)),
        "clear" => Order::Clear,
        name => {
            let action = ACTIONS.into_iter().find(|(known, _)| *known == name);
            let unknown = || format!("there is no action {name:?}, {}", actions());
            Order::Act(action.ok_or_else(unknown)?.1)
        }
    };
    fields.finish()?;
    Ok(order)
}

fn actions() -> String {
    let names: Vec<_> = ACTIONS.iter().map(|(name, _)| *name).chain(OTHERS).collect();
    format!("use one of {}", names.join(", "))
}

fn settings_change(fields: &mut Fields) -> Result<SettingsChange, Mistake> {
    let while_waking = match fields.text("whileWaking")? {
        None => None,
        Some(name) => Some(WhileWaking::from_name(&name).ok_or_else(|| {
            let names = WhileWaking::ALL.map(WhileWaking::name).join(", ");
            format!("whileWaking must be one of {names}")
        })?),
    };
    Ok(SettingsChange {
        idle: fields.number("idleMs")?.map(idle),
        wake: fields.milliseconds("wakeMs")?,
        while_waking,
        retry_after: fields
            .number("retryAfterSeconds")?
            .map(|seconds| Duration::from_secs(seconds.into())),
    })
}

fn fault(fields: &mut Fields) -> Result<Fault, Mistake> {
    let path = match fields.text("path")?.as_deref() {
        Some("*") => FaultPath::Any,
        Some(path) if path.starts_with('/') && !path.contains(['?', '#']) => {
            FaultPath::Exact(path.to_owned())
        }
        Some(_) | None => return Err("path must be \"*\" or a path such as /auth/me".into()),
    };
    let times = fields.number("times")?;
    if times == Some(0) {
        return Err("times must be at least 1, or left out to last until cleared".into());
    }
    let answer = fields.take("answer").ok_or("answer is missing, use {} for an empty 200")?;
    let mut answer_fields = Fields::of(answer, "answer")?;
    let answer = fault_answer(&mut answer_fields)?;
    answer_fields.finish()?;
    Ok(Fault { path, times, answer })
}

fn fault_answer(fields: &mut Fields) -> Result<FaultAnswer, Mistake> {
    let status = fields.number("status")?.unwrap_or(200);
    let status = u16::try_from(status).ok().filter(|code| (200..=599).contains(code));
    let status = status.and_then(|code| StatusCode::from_u16(code).ok());
    let readable = fields.flag("cors")?;
    Ok(FaultAnswer {
        status: status.ok_or("answer.status must be 200 to 599")?,
        headers: headers(fields)?,
        body: Bytes::from(fields.text("body")?.unwrap_or_default()),
        cors: if readable { Cors::Readable } else { Cors::Opaque },
        delay: fields.milliseconds("headersAfterMs")?.unwrap_or_default(),
        ending: ending(fields)?,
    })
}

fn headers(fields: &mut Fields) -> Result<HeaderMap, Mistake> {
    let mut headers = HeaderMap::new();
    let Some(value) = fields.take("headers") else { return Ok(headers) };
    let Value::Object(named) = value else {
        return Err("answer.headers must be an object of names and texts".into());
    };
    for (name, value) in named {
        let wrong = || format!("answer.headers: {name:?} must be a header's name and a text");
        let header: HeaderName = name.parse().map_err(|_| wrong())?;
        if header == CONTENT_LENGTH || header == TRANSFER_ENCODING {
            return Err(format!("answer.headers: {header} follows from the body, leave it out"));
        }
        let value = value.as_str().and_then(|text| HeaderValue::from_str(text).ok());
        headers.insert(header, value.ok_or_else(wrong)?);
    }
    Ok(headers)
}

fn ending(fields: &mut Fields) -> Result<Ending, Mistake> {
    let stall = fields.number("stallAfterBytes")?.map(|bytes| Ending::StallAfter(bytes as usize));
    let cut = fields.number("breakAfterBytes")?.map(|bytes| Ending::BreakAfter(bytes as usize));
    let (endless, drop) = (fields.flag("endless")?, fields.flag("drop")?);
    let endings = [stall, cut, endless.then_some(Ending::Endless), drop.then_some(Ending::Drop)];
    let mut asked = endings.into_iter().flatten();
    match (asked.next(), asked.next()) {
        (ending, None) => Ok(ending.unwrap_or(Ending::Whole)),
        (_, Some(_)) => {
            Err("answer: only one of stallAfterBytes, breakAfterBytes, endless and drop \
                            can be used"
                .into())
        }
    }
}

/// The fields of one object, each taken once; what is left at the end is a mistake.
struct Fields {
    left: Map<String, Value>,
    within: &'static str,
}

impl Fields {
    fn of(value: Value, within: &'static str) -> Result<Self, Mistake> {
        let Value::Object(left) = value else {
            let whole = if within.is_empty() { "the body" } else { within };
            return Err(format!("{whole} must be an object"));
        };
        Ok(Self { left, within })
    }

    fn take(&mut self, name: &str) -> Option<Value> {
        self.left.remove(name)
    }

    fn text(&mut self, name: &str) -> Result<Option<String>, Mistake> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(format!("{} must be a text", self.full_name(name))),
        }
    }

    fn flag(&mut self, name: &str) -> Result<bool, Mistake> {
        match self.take(name) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(flag),
            Some(_) => Err(format!("{} must be true or false", self.full_name(name))),
        }
    }

    fn number(&mut self, name: &str) -> Result<Option<u32>, Mistake> {
        let Some(value) = self.take(name) else { return Ok(None) };
        let number = value.as_u64().and_then(|number| u32::try_from(number).ok());
        let wrong =
            || format!("{} must be a whole number, 0 to {}", self.full_name(name), u32::MAX);
        number.ok_or_else(wrong).map(Some)
    }

    fn milliseconds(&mut self, name: &str) -> Result<Option<Duration>, Mistake> {
        Ok(self.number(name)?.map(|number| Duration::from_millis(number.into())))
    }

    fn finish(self) -> Result<(), Mistake> {
        match self.left.keys().next() {
            None => Ok(()),
            Some(name) => Err(format!("{} is not a field of this action", self.full_name(name))),
        }
    }

    fn full_name(&self, name: &str) -> String {
        if self.within.is_empty() { name.to_owned() } else { format!("{}.{name}", self.within) }
    }
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
        assert!(mistake(r#"{"action":"configure","wakeMs":-1}"#).contains("wakeMs"));
        assert!(mistake(r#"{"action":"configure","whileWaking":"nap"}"#).contains("whileWaking"));
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
