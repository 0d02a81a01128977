//! What cargo knows of this workspace: its folders, its packages and who depends on whom.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::failure::Failure;

/// The workspace as `cargo metadata --no-deps` tells it.
#[derive(Debug)]
pub(crate) struct Workspace {
    pub(crate) root: PathBuf,
    /// Cargo's target folder, wherever the environment puts it.
    pub(crate) target: PathBuf,
    pub(crate) packages: Vec<Package>,
}

/// One member of the workspace.
#[derive(Debug)]
pub(crate) struct Package {
    pub(crate) name: String,
    /// Relative to the root.
    pub(crate) manifest: String,
    pub(crate) dependencies: Vec<Dependency>,
    /// Of its targets: `bin`, `lib`, `test`, …
    pub(crate) kinds: Vec<String>,
}

/// One line of a manifest.
#[derive(Debug)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    pub(crate) is_dev: bool,
    pub(crate) is_optional: bool,
}

impl Workspace {
    pub(crate) fn load() -> Result<Self, Failure> {
        let output = cargo()
            .args(["metadata", "--no-deps", "--format-version", "1"])
            .output()
            .map_err(|error| Failure::Io(format!("cannot start cargo: {error}")))?;
        if !output.status.success() {
            return Err(Failure::Io(String::from_utf8_lossy(&output.stderr).into_owned()));
        }
        let unreadable = || Failure::Io("cargo metadata cannot be read".into());
        let metadata = serde_json::from_slice(&output.stdout).map_err(|_| unreadable())?;
        Self::from_metadata(&metadata).ok_or_else(unreadable)
    }

    pub(crate) fn from_metadata(metadata: &Value) -> Option<Self> {
        let root = PathBuf::from(metadata["workspace_root"].as_str()?);
        let packages = metadata["packages"].as_array()?;
        let packages = packages.iter().map(|package| Package::from_metadata(package, &root));
        Some(Self {
            packages: packages.collect::<Option<_>>()?,
            target: PathBuf::from(metadata["target_directory"].as_str()?),
            root,
        })
    }

    /// Whether a package has a target of the kind: `bin`, `test`, …
    pub(crate) fn has(&self, package: &str, kind: &str) -> bool {
        let mut packages = self.packages.iter().filter(|candidate| candidate.name == package);
        packages.any(|package| package.kinds.iter().any(|candidate| candidate == kind))
    }

    /// A folder for what our own steps write, apart from cargo's.
    pub(crate) fn scratch(&self, name: &str) -> PathBuf {
        self.target.join("xtask").join(name)
    }

    /// A program that `npm ci` has put there.
    pub(crate) fn npm_tool(&self, name: &str) -> Command {
        Command::new(self.root.join("node_modules/.bin").join(name))
    }

    pub(crate) fn binary(&self, name: &str) -> PathBuf {
        self.target.join("debug").join(format!("{name}{}", env::consts::EXE_SUFFIX))
    }
}

impl Package {
    fn from_metadata(package: &Value, root: &Path) -> Option<Self> {
        let manifest = Path::new(package["manifest_path"].as_str()?).strip_prefix(root).ok()?;
        let dependencies = package["dependencies"].as_array()?.iter().map(|dependency| {
            Some(Dependency {
                name: dependency["name"].as_str()?.to_owned(),
                is_dev: dependency["kind"].as_str() == Some("dev"),
                is_optional: dependency["optional"].as_bool() == Some(true),
            })
        });
        let targets = package["targets"].as_array()?.iter();
        let kinds = targets.filter_map(|target| target["kind"].as_array()).flatten();
        Some(Self {
            name: package["name"].as_str()?.to_owned(),
            manifest: manifest.to_str()?.to_owned(),
            dependencies: dependencies.collect::<Option<_>>()?,
            kinds: kinds.filter_map(|kind| kind.as_str().map(str::to_owned)).collect(),
        })
    }
}

/// The cargo that runs this xtask.
pub(crate) fn cargo() -> Command {
    Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}
