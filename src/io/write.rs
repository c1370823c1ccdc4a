//! Writes files atomically: a program can be killed while it writes, but others should see a whole file or none. So
//! a file is written beside its place under a temporary name, flushed to the disk, and renamed.
//!
//! A killed writer leaves its temporary file behind. A running one holds a lock on it, which the system releases
//! with the process; so the next writer in that folder knows which ones are abandoned, and removes them.

use super::read::kind;
use crate::event::event;
use crate::{Error, Result};
use std::ffi::OsString;
use std::fs::{File, OpenOptions, TryLockError};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

/// The suffix of every temporary name. It is the library's own, so that no other program's files are mistaken for
/// leftovers.
const SUFFIX: &str = ".gradus-tmp";
/// How many names to try. They are random, so a second try is already rare.
const TRIES: u32 = 100;

/// Creates or replaces the file at `path` with these bytes, or leaves the old one.
///
/// # Errors
/// [`Error::Format`] if there is a folder, a pipe or a device at `path`; [`Error::Io`] if the system fails. No
/// temporary file is left behind then.
pub(crate) fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    write_atomically_with(path, |file| file.write_all(bytes))
}

/// [`write_atomically`] with bytes that come one after another: an error of `write` leaves the old file.
pub(crate) fn write_atomically_with(
    path: &Path,
    write: impl FnOnce(&mut File) -> std::io::Result<()>,
) -> Result<()> {
    let io = |source| Error::Io { path: path.display().to_string(), source };
    // Looks at a link itself: it is replaced, never followed, so its target does not matter.
    if let Ok(there) = std::fs::symlink_metadata(path)
        && !there.is_symlink()
        && let Some(kind) = kind(&there)
    {
        let why = format!("expected the path of a file to write, found {kind}");
        return Err(Error::format(path.display().to_string(), why));
    }
    remove_leftovers(path);
    let (temporary, mut file) = create_beside(path).map_err(io)?;
    let written = fill(&mut file, path, write).and_then(|()| std::fs::rename(&temporary, path));
    // Dropped only after renaming: until then the lock says that the file is wanted.
    drop(file);
    if let Err(e) = written {
        let _ = std::fs::remove_file(&temporary);
        return Err(io(e));
    }
    sync_folder(path);
    event!(info, "wrote {}", path.display());
    Ok(())
}

/// Creates a new file in the folder of `path`, locked where the system can. It never opens an existing one or
/// follows a link, since anyone who can write to the folder could have put it there.
fn create_beside(path: &Path) -> std::io::Result<(PathBuf, File)> {
    let name = path.file_name().ok_or(ErrorKind::InvalidFilename)?;
    for _ in 0..TRIES {
        let mut temporary = OsString::from(".");
        temporary.push(name);
        // Random if the system has a source of randomness.
        temporary.push(format!(".{:016x}{SUFFIX}", RandomState::new().build_hasher().finish()));
        let temporary = path.with_file_name(temporary);
        match OpenOptions::new().write(true).create_new(true).open(&temporary) {
            Ok(file) if is_ours(&file, &temporary) => return Ok((temporary, file)),
            Ok(_) => {}
            Err(e) if e.kind() == ErrorKind::AlreadyExists => {}
            Err(e) => return Err(e),
        }
    }
    Err(ErrorKind::AlreadyExists.into())
}

/// Locks a new file. Returns false if another writer mistook it for a leftover before that.
fn is_ours(file: &File, path: &Path) -> bool {
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => false,
        // If it was removed before it was locked, it is not there any more.
        Ok(()) => path.exists(),
        // On a file system without locks, nothing can be mistaken for a leftover.
        Err(TryLockError::Error(_)) => true,
    }
}

/// Removes temporary files in the folder of `path` whose writers are gone. What cannot be removed stays; saving
/// does not depend on it.
fn remove_leftovers(path: &Path) {
    for entry in std::fs::read_dir(folder(path)).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let ours = name.to_str().is_some_and(|n| n.starts_with('.') && n.ends_with(SUFFIX));
        // Checks the directory entry itself: links and pipes do not come from a writer.
        if !ours || !entry.file_type().is_ok_and(|kind| kind.is_file()) {
            continue;
        }
        // On some systems, locks need a writable file.
        if let Ok(file) = OpenOptions::new().write(true).open(entry.path())
            && file.try_lock().is_ok()
        {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

/// Writes to the disk, with the permissions of the file that will be replaced.
fn fill(
    file: &mut File,
    path: &Path,
    write: impl FnOnce(&mut File) -> std::io::Result<()>,
) -> std::io::Result<()> {
    if let Ok(old) = std::fs::metadata(path)
        && old.is_file()
    {
        file.set_permissions(old.permissions())?;
    }
    write(file)?;
    file.sync_all()
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Flushes the new name to the disk, where folders can be synced. The file is already there, so a failure does not
/// matter.
fn sync_folder(path: &Path) {
    if cfg!(unix) {
        let _ = File::open(folder(path)).and_then(|f| f.sync_all());
    }
}
