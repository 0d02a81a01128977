//! Remembers what a step was made from, so that it runs again only when that changed.
//!
//! Contents are compared, not times: a checkout touches every file.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use crate::failure::Failure;

/// The inputs of one step, as one number.
#[derive(Debug)]
pub(crate) struct Stamp {
    file: PathBuf,
    inputs: DefaultHasher,
}

impl Stamp {
    pub(crate) fn new(file: PathBuf) -> Self {
        Self { file, inputs: DefaultHasher::new() }
    }

    pub(crate) fn text(mut self, text: impl Hash) -> Self {
        text.hash(&mut self.inputs);
        self
    }

    /// A file, or a folder with everything in it.
    pub(crate) fn path(mut self, path: &Path) -> Result<Self, Failure> {
        self.add(path).map_err(|error| Failure::io("read", path, &error))?;
        Ok(self)
    }

    /// Whether the step ran with the same inputs and its outputs are still there.
    pub(crate) fn is_fresh(&self, outputs: &[&Path]) -> bool {
        fs::read_to_string(&self.file).is_ok_and(|made| made == self.digest())
            && outputs.iter().all(|output| output.exists())
    }

    /// To be called when the step has succeeded.
    pub(crate) fn save(&self) -> Result<(), Failure> {
        let written = self.file.parent().map_or(Ok(()), fs::create_dir_all);
        written
            .and_then(|()| fs::write(&self.file, self.digest()))
            .map_err(|error| Failure::io("write", &self.file, &error))
    }

    fn add(&mut self, path: &Path) -> std::io::Result<()> {
        path.hash(&mut self.inputs);
        if !path.is_dir() {
            fs::read(path)?.hash(&mut self.inputs);
            return Ok(());
        }
        let mut entries = Vec::new();
        for entry in fs::read_dir(path)? {
            entries.push(entry?.path());
        }
        entries.sort();
        entries.iter().try_for_each(|entry| self.add(entry))
    }

    fn digest(&self) -> String {
        format!("{:016x}", self.inputs.finish())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_runs_again_when_an_input_changed_or_an_output_is_gone() {
        let folder = std::env::temp_dir().join(format!("xtask-stamp-{}", std::process::id()));
        let (input, output) = (folder.join("in/deep/a"), folder.join("out"));
        fs::create_dir_all(folder.join("in/deep")).expect("the temp folder is writable");
        fs::write(&input, "1").expect("writable");
        fs::write(&output, "made").expect("writable");
        let stamp = || Stamp::new(folder.join("stamp")).path(&folder.join("in")).expect("readable");

        assert!(!stamp().is_fresh(&[&output]), "never made");
        stamp().save().expect("writable");
        assert!(stamp().is_fresh(&[&output]));

        fs::write(&input, "2").expect("writable");
        assert!(!stamp().is_fresh(&[&output]), "an input changed");
        stamp().save().expect("writable");
        fs::remove_file(&output).expect("just written");
        assert!(!stamp().is_fresh(&[&output]), "the output is gone");
        fs::remove_dir_all(&folder).expect("just made");
    }
}
