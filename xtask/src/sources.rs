//! Keeps what cargo has built, from one checkout to the next.
//!
//! Cargo knows crates of a workspace by their place in it, and asks whether a file is newer than what was made of it.
//! So everything in a fresh clone would be built anew, whatever it holds; and of two checkouts that share a folder, the
//! one with the older files would be handed what the other has built. Therefore the folder remembers the files it was
//! built from. Where another checkout built last, a file with the content it had there gets the time it had there, and
//! every other one the present. A file that was changed since its checkout was made gets the present too: another folder
//! may hold what was built of it before, and a time that is past would hide the change there. What cargo remembers by
//! the other checkout's path is forgotten, as cargo would look there.
//!
//! Two checkouts that build at the same moment are not kept apart.

use std::collections::BTreeMap;
use std::fs::{self, File, Metadata};
use std::hash::Hasher;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::error::{Error, Result, file};

/// The file in the target folder that says what was built there last. Older versions of this program kept only the
/// checkout's path in it; either takes the other's for an unknown checkout.
const RECORD: &str = "last-checkout.txt";

/// What a program is built with for good if it asks for it when it is compiled: the checkout's path. Cargo does not
/// look whether that is still the same.
const KEEPS_THE_PATH: &str = concat!("env!(\"CARGO", "_MANIFEST_DIR\")");

/// Files that came with a checkout are at most so much younger than it, in nanoseconds.
const COMING: u64 = 60_000_000_000;

/// Tells cargo, by the times of the files, which ones differ from those the target folder was built from. Where that
/// cannot be told, everything of the workspace is to be built anew.
///
/// # Errors
/// If a file cannot be read, or its time not be set; if the target folder cannot be written.
pub fn claim(target: &Path, root: &Path) -> Result<()> {
    // Steps may begin side by side.
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let record = target.join(RECORD);
    let known = Record::read(&record);
    let claimed = known.next(root).and_then(|now| {
        if known.root != now.root {
            forget(target, &known.root)?;
        }
        if known != now {
            fs::create_dir_all(target).map_err(file(target))?;
            now.write(&record)?;
        }
        Ok(())
    });
    claimed.or_else(|error| {
        match fs::remove_file(&record) {
            Err(e) if e.kind() != ErrorKind::NotFound => return Err(file(&record)(e)),
            _ => forget(target, Path::new(""))?,
        }
        Err(error)
    })
}

/// Makes cargo forget what of the workspace it has built with files that it knows by the path of this checkout; of an
/// unknown one, all. That is what a package includes of another folder, and every package that was linted.
fn forget(target: &Path, root: &Path) -> Result<()> {
    let path = root.as_os_str().as_encoded_bytes();
    let mentions = |name: &Path| {
        let bytes = fs::read(name).unwrap_or_default();
        bytes.windows(path.len()).any(|part| part == path)
    };
    let own = |unit: &PathBuf| {
        let name = unit.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("glassformer") || name.starts_with("xtask")
    };
    for triple in [target.to_owned(), target.join("wasm32-unknown-unknown")] {
        for profile in entries(&triple) {
            for unit in entries(&profile.join(".fingerprint")).filter(own) {
                if path.is_empty() || entries(&unit).any(|name| mentions(&name)) {
                    fs::remove_dir_all(&unit).map_err(file(&unit))?;
                }
            }
        }
    }
    Ok(())
}

/// What is in a folder; nothing where there is none.
fn entries(folder: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    entries.flatten().map(|entry| entry.path())
}

/// The files of a checkout as cargo last saw them.
#[derive(Default, PartialEq)]
struct Record {
    root: PathBuf,
    /// When the checkout was made, as another may be where it was.
    made: u64,
    /// By path in the checkout.
    sources: BTreeMap<PathBuf, Source>,
}

#[derive(Clone, Copy, PartialEq)]
struct Source {
    hash: u64,
    /// Nanoseconds since 1970.
    modified: u64,
}

impl Record {
    /// What becomes of this record where this checkout builds next.
    fn next(&self, root: &Path) -> Result<Self> {
        let metadata = fs::metadata(root).map_err(file(root))?;
        let made = metadata.created().map_or(0, nanoseconds);
        let same = self.root == root && self.made == made;
        let gone = self.root == root || !self.root.exists();
        // A file that was changed there since then may have been built from either way.
        let settled = |path: &Path, source: &Source| {
            let there = || fs::metadata(self.root.join(path)).ok().map(modified);
            gone || there() == Some(source.modified)
        };
        let present = nanoseconds(SystemTime::now());
        let look = |path: &Path| {
            let full = root.join(path);
            let own = modified(fs::metadata(&full).map_err(file(&full))?);
            let before = self.sources.get(path);
            if let Some(before) = before.filter(|before| same && before.modified == own) {
                return Ok(*before);
            }
            let hash = hash(&full, root)?;
            let kept = before.filter(|before| before.hash == hash);
            let modified = match kept {
                // Put back from a copy, perhaps, as it was before cargo looked last.
                None if same && before.is_some_and(|before| own <= before.modified) => present,
                _ if same => own,
                Some(kept)
                    if settled(path, kept)
                        && (own == kept.modified || own <= made.saturating_add(COMING)) =>
                {
                    kept.modified
                }
                _ => present,
            };
            if modified != own {
                set_modified(&full, modified)?;
            }
            Ok(Source { hash, modified })
        };
        let mut sources = BTreeMap::new();
        for path in files(root)? {
            match look(&path) {
                Ok(source) => drop(sources.insert(path, source)),
                // Gone since the folder was read, as files of editors are.
                Err(Error::File { source, .. }) if source.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Self {
            root: root.to_owned(),
            made,
            sources,
        })
    }

    /// The record in a file, empty if there is none or it cannot be understood: then everything counts as changed.
    fn read(path: &Path) -> Self {
        let text = fs::read_to_string(path).unwrap_or_default();
        let mut lines = text.lines();
        let head = lines.next().and_then(|line| line.split_once(' '));
        let Some((Ok(made), root)) = head.map(|(made, root)| (made.parse(), root)) else {
            return Self::default();
        };
        let source = |line: &str| {
            let (hash, line) = line.split_once(' ')?;
            let (modified, path) = line.split_once(' ')?;
            let hash = u64::from_str_radix(hash, 16).ok()?;
            let modified = modified.parse().ok()?;
            Some((PathBuf::from(path), Source { hash, modified }))
        };
        Self {
            root: PathBuf::from(root),
            made,
            sources: lines.filter_map(source).collect(),
        }
    }

    fn write(&self, path: &Path) -> Result<()> {
        let mut text = format!("{} {}\n", self.made, self.root.display());
        for (path, source) in &self.sources {
            let Source { hash, modified } = source;
            text += &format!("{hash:016x} {modified} {}\n", path.display());
        }
        // Another process may read it.
        let whole = path.with_extension("new");
        fs::write(&whole, text).map_err(file(&whole))?;
        fs::rename(&whole, path).map_err(file(path))
    }
}

/// The files of a checkout, by path in it, without what is built or hidden.
fn files(root: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        let full = root.join(&folder);
        for entry in fs::read_dir(&full).map_err(file(&full))? {
            let entry = entry.map_err(file(&full))?;
            let name = entry.file_name();
            let hidden = name.to_string_lossy().starts_with('.');
            let built = ["target", "dist", "screenshots", "__pycache__"];
            if hidden || built.iter().any(|built| name == *built) {
                continue;
            }
            let kind = entry.file_type().map_err(file(&full))?;
            if kind.is_dir() {
                folders.push(folder.join(name));
            } else if kind.is_file() {
                found.push(folder.join(name));
            }
        }
    }
    Ok(found)
}

/// What tells a file's content from another's; with the checkout's path where a program would keep that.
fn hash(path: &Path, root: &Path) -> Result<u64> {
    let bytes = fs::read(path).map_err(file(path))?;
    let mut hasher = std::hash::DefaultHasher::new();
    hasher.write(&bytes);
    if path.extension().is_some_and(|e| e == "rs")
        && String::from_utf8_lossy(&bytes).contains(KEEPS_THE_PATH)
    {
        hasher.write(root.as_os_str().as_encoded_bytes());
    }
    Ok(hasher.finish())
}

fn modified(metadata: Metadata) -> u64 {
    metadata.modified().map_or(0, nanoseconds)
}

fn nanoseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

fn set_modified(path: &Path, nanoseconds: u64) -> Result<()> {
    let time = UNIX_EPOCH + Duration::from_nanos(nanoseconds);
    let opened = File::options().write(true).open(path);
    let set = opened.and_then(|opened| opened.set_modified(time));
    set.map_err(file(path))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use glassformer_tests::TempDir;

    use super::*;

    /// A target folder and checkouts beside it.
    struct Folders(TempDir);

    impl Folders {
        fn new() -> Self {
            Self(TempDir::new("sources").unwrap())
        }

        fn file(&self, checkout: &str, name: &str) -> PathBuf {
            self.0.path().join(checkout).join(name)
        }

        fn write(&self, checkout: &str, name: &str, content: &str) {
            let path = self.file(checkout, name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }

        fn time(&self, checkout: &str, name: &str) -> u64 {
            modified(fs::metadata(self.file(checkout, name)).unwrap())
        }

        fn set(&self, checkout: &str, name: &str, time: u64) {
            set_modified(&self.file(checkout, name), time).unwrap();
        }

        fn claim(&self, checkout: &str) {
            let root = self.0.path();
            claim(&root.join("target"), &root.join(checkout)).unwrap();
        }
    }

    #[test]
    fn another_checkout_differs_in_what_differs() {
        let folders = Folders::new();
        for checkout in ["one", "two"] {
            folders.write(checkout, "crates/same.rs", "same");
            folders.write(checkout, "crates/path.rs", KEEPS_THE_PATH);
            folders.write(checkout, "crates/other.rs", checkout);
        }
        // Long ago, as a clone made before the other was built.
        for name in ["same", "path", "other"].map(|name| format!("crates/{name}.rs")) {
            folders.set("two", &name, 1_000);
        }
        folders.claim("one");
        let built = nanoseconds(SystemTime::now());
        folders.claim("two");
        assert_eq!(
            folders.time("two", "crates/same.rs"),
            folders.time("one", "crates/same.rs")
        );
        assert!(folders.time("two", "crates/other.rs") >= built);
        assert!(folders.time("two", "crates/path.rs") >= built);
        // And back again.
        let built = nanoseconds(SystemTime::now());
        folders.claim("one");
        assert!(folders.time("one", "crates/other.rs") >= built);
    }

    #[test]
    fn within_a_checkout_only_what_went_back_is_touched() {
        let folders = Folders::new();
        folders.write("one", "a.rs", "a");
        folders.claim("one");
        folders.write("one", "a.rs", "b");
        let edited = folders.time("one", "a.rs");
        folders.claim("one");
        assert_eq!(folders.time("one", "a.rs"), edited);
        folders.write("one", "a.rs", "a");
        folders.set("one", "a.rs", 2_000);
        folders.claim("one");
        assert!(folders.time("one", "a.rs") > edited);
    }

    #[test]
    fn what_cargo_knows_by_the_other_checkouts_path_is_forgotten() {
        let folders = Folders::new();
        folders.write("one", "a.rs", "a");
        folders.write("two", "a.rs", "a");
        let built = |unit: &str, checkout: &str| {
            let name = format!("wasm32-unknown-unknown/quick/.fingerprint/{unit}/dep-lib");
            let path = folders.file(checkout, "a.wgsl");
            folders.write("target", &name, &format!("..{}", path.display()));
            folders.file("target", &name)
        };
        folders.claim("one");
        let other = built("glassformer-gpu-01", "one");
        let own = built("glassformer-gpu-02", "two");
        let foreign = built("serde-03", "one");
        folders.claim("two");
        assert!(!other.exists() && own.exists() && foreign.exists());
        // A record that nobody understands.
        folders.write("target", RECORD, "nonsense");
        folders.claim("two");
        assert!(!own.exists() && foreign.exists());
    }

    #[test]
    fn what_was_changed_after_a_build_began_is_not_relied_on() {
        let folders = Folders::new();
        folders.write("one", "a.rs", "a");
        folders.claim("one");
        // Perhaps read by the build, which no step came after.
        folders.write("one", "a.rs", "b");
        folders.set("one", "a.rs", 2_000);
        folders.write("two", "a.rs", "a");
        folders.set("two", "a.rs", 1_000);
        folders.claim("two");
        assert!(folders.time("two", "a.rs") > 2_000);
    }

    #[test]
    fn what_was_changed_since_the_checkout_was_made_does_not_go_back() {
        let folders = Folders::new();
        for checkout in ["one", "two"] {
            folders.write(checkout, "a.rs", "a");
        }
        folders.claim("one");
        let later = folders.time("two", "a.rs") + 2 * COMING;
        folders.set("two", "a.rs", later);
        folders.claim("two");
        let time = folders.time("two", "a.rs");
        assert!(time > folders.time("one", "a.rs") && time < later, "{time}");
    }

    #[test]
    fn a_record_that_cannot_be_read_makes_everything_new() {
        let folders = Folders::new();
        folders.write("one", "a.rs", "a");
        folders.set("one", "a.rs", 1_000);
        folders.write("target", RECORD, "nonsense");
        folders.claim("one");
        assert!(folders.time("one", "a.rs") > 1_000);
    }
}
