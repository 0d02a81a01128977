//! What a user recognises a session by: the browser and the system that signed in.
//!
//! Rule: two words of a closed list and nothing else of the `User-Agent` header. It tells a person
//! which session is the phone's; it is no fingerprint, and nothing is decided by it.

use alloc::string::{String, ToString};
use core::fmt;
use core::str::FromStr;

/// Browser and system. Written as `Firefox on Linux`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Device {
    browser: u8,
    system: u8,
}

/// What stands in the header, in the order in which it counts: Edge and Opera call themselves
/// Chrome too, and Chrome calls itself Safari.
const BROWSERS: [(&str, &str); 8] = [
    ("", "Unknown"),
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser", "Samsung Internet"),
    ("Firefox", "Firefox"),
    ("Chrom", "Chrome"),
    ("CriOS", "Chrome"),
    ("Safari", "Safari"),
];
const SYSTEMS: [(&str, &str); 8] = [
    ("", "unknown"),
    ("iPhone", "iOS"),
    ("iPad", "iOS"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("CrOS", "ChromeOS"),
    ("Mac OS X", "macOS"),
    ("Linux", "Linux"),
];

impl Device {
    /// Reads a `User-Agent` header, of which any text is one (RFC 9110 section 10.1.5).
    pub fn from_user_agent(text: &str) -> Self {
        let find = |list: &[(&str, &str)]| {
            let known = list.iter().skip(1).find(|(mark, _)| text.contains(mark));
            known.map_or(0, |(_, word)| place(list, word))
        };
        Self { browser: find(&BROWSERS), system: find(&SYSTEMS) }
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = |list: &[(&'static str, &'static str)], index: u8| list[usize::from(index)].1;
        write!(f, "{} on {}", word(&BROWSERS, self.browser), word(&SYSTEMS, self.system))
    }
}

impl FromStr for Device {
    type Err = core::convert::Infallible;

    /// Reads what `Display` wrote. Words of a newer version are unknown ones.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (browser, system) = text.split_once(" on ").unwrap_or_default();
        Ok(Self { browser: place(&BROWSERS, browser), system: place(&SYSTEMS, system) })
    }
}

/// Where a word stands first: several marks mean the same.
fn place(list: &[(&str, &str)], word: &str) -> u8 {
    let index = list.iter().position(|(_, known)| *known == word);
    index.and_then(|index| u8::try_from(index).ok()).unwrap_or(0)
}

impl From<Device> for String {
    fn from(device: Device) -> Self {
        device.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_is_told_by_its_own_name_and_not_by_those_it_also_claims() {
        let mozilla = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36";
        let like = "(KHTML, like Gecko) Chrome/140.0 Safari/537.36";
        let iphone = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18 Safari/605";
        for (agent, device) in [
            (alloc::format!("{mozilla} {like} Edg/140.0"), "Edge on Windows"),
            (alloc::format!("{mozilla} {like}"), "Chrome on Windows"),
            ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Firefox/140.0".into(), "Firefox on Linux"),
            (iphone.into(), "Safari on iOS"),
            ("Mozilla/5.0 (iPad; CPU OS 18_0) CriOS/140 Safari/605".into(), "Chrome on iOS"),
            ("curl/8.5".into(), "Unknown on unknown"),
            (String::new(), "Unknown on unknown"),
        ] {
            let read = Device::from_user_agent(&agent);
            assert_eq!(read.to_string(), device);
            assert_eq!(device.parse(), Ok(read));
        }
    }

    #[test]
    fn a_device_is_read_as_it_was_written() {
        for text in ["Firefox on Linux", "Samsung Internet on Android", "Unknown on unknown"] {
            let Ok(device) = text.parse::<Device>();
            assert_eq!(device.to_string(), text);
        }
        let Ok(newer) = "Netscape on BeOS".parse::<Device>();
        assert_eq!(newer, Device::default());
    }
}
