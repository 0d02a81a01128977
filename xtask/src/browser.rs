//! Finds Chromium and its driver, or gets them by apt where that is allowed.
//!
//! `CHROME` and `CHROMEDRIVER` win over everything, and must then be right.

use std::env;
use std::fs;
use std::path::{self, Path, PathBuf};

use serde_json::json;

use crate::apt;
use crate::failure::Failure;
use crate::runner::Runner;
use crate::setup::find_program;
use crate::workspace::Workspace;

const INSTALL: &str = "Chromium or its driver was not found: run `apt-get install -y \
    --no-install-recommends chromium chromium-driver` as root, or set CHROME and CHROMEDRIVER to \
    the browser and to a chromedriver of the same version";

/// A browser and the driver that fits it.
#[derive(Debug)]
pub(crate) struct Browser {
    pub(crate) chrome: PathBuf,
    pub(crate) driver: PathBuf,
}

impl Browser {
    pub(crate) fn find_or_install(runner: &Runner) -> Result<Self, Failure> {
        if let Some(browser) = Self::find()? {
            return Ok(browser);
        }
        if !apt::is_usable() {
            return Err(Failure::Missing(INSTALL.into()));
        }
        apt::install(runner, "chromium", &["chromium", "chromium-driver"])?;
        Self::find()?.ok_or_else(|| Failure::Missing(INSTALL.into()))
    }

    /// Tells wasm-bindgen's test runner which browser to start; the driver alone would choose its
    /// own. Returns the file's path.
    pub(crate) fn write_capabilities(&self, workspace: &Workspace) -> Result<PathBuf, Failure> {
        let file = workspace.scratch("webdriver.json");
        let capabilities = json!({ "goog:chromeOptions": { "binary": self.chrome } });
        fs::write(&file, capabilities.to_string())
            .map_err(|error| Failure::io("write", &file, &error))?;
        Ok(file)
    }

    fn find() -> Result<Option<Self>, Failure> {
        let chrome = located("CHROME", &["chromium", "google-chrome", "chromium-browser"])?;
        let driver = located("CHROMEDRIVER", &["chromedriver"])?;
        Ok(chrome.zip(driver).map(|(chrome, driver)| Self { chrome, driver }))
    }
}

fn located(variable: &str, names: &[&str]) -> Result<Option<PathBuf>, Failure> {
    let Some(chosen) = env::var_os(variable).filter(|value| !value.is_empty()) else {
        return Ok(names.iter().find_map(|name| find_program(name)));
    };
    // The test runner starts the driver from another folder. Links stay as they are: some browsers
    // are one program that looks at the name it was called by.
    match path::absolute(&chosen) {
        Ok(absolute) if absolute.is_file() => Ok(Some(absolute)),
        Ok(_) | Err(_) => {
            let chosen = Path::new(&chosen).display();
            Err(Failure::Usage(format!("{variable} is {chosen}, and no such file exists")))
        }
    }
}
