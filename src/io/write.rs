//! Why it exists: a program can be killed while it writes. A file that others read is whole or is not there: it is
//! written beside its place under another name, brought to the disk, and renamed.
//!
//! A killed writer leaves its temporary file behind. A living one holds a lock on it, which the system drops with the process; so the
//! next writer in that folder knows which ones nobody wants any more, and removes them.

use super::read::kind;
use crate::event::event;
use crate::{Error, Result};
use std::ffi::OsString;
use std::fs::{File, OpenOptions, TryLockError};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

/// The end of every temporary name. It is the library's own, so that no other program's files are taken for leftovers.
const SUFFIX: &str = ".gradus-tmp";
/// How many names to try. They are random: a second try is already rare.
const TRIES: u32 = 100;

/// Makes or replaces the file at `path` with these bytes, or leaves what was there.
///
/// # Errors
/// [`Error::Format`] if a folder, a pipe or a device is there; [`Error::Io`] if the system refuses. Then no temporary file is left behind.
pub(crate) fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    write_atomically_with(path, |file| file.write_all(bytes))
}

/// [`write_atomically`] with bytes that come one after the other: an error of `write` leaves what was there.
pub(crate) fn write_atomically_with(
    path: &Path,
    write: impl FnOnce(&mut File) -> std::io::Result<()>,
) -> Result<()> {
    let io = |source| Error::Io { path: path.display().to_string(), source };
    // Of a link itself: it is replaced, never followed, so what it leads to does not matter.
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
    // Here, after the renaming: until then the lock says that somebody wants the file.
    drop(file);
    if let Err(e) = written {
        let _ = std::fs::remove_file(&temporary);
        return Err(io(e));
    }
    sync_folder(path);
    event!(info, "wrote {}", path.display());
    Ok(())
}

/// A new file in the folder of `path`, locked where the system can. Never opens one that exists, nor follows a link: whoever can write
/// to the folder could have put it there.
fn create_beside(path: &Path) -> std::io::Result<(PathBuf, File)> {
    let name = path.file_name().ok_or(ErrorKind::InvalidFilename)?;
    for _ in 0..TRIES {
        let mut temporary = OsString::from(".");
        temporary.push(name);
        // Random where the system has a source of it.
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

/// Locks a new file. False if another writer took it for a leftover before that.
fn is_ours(file: &File, path: &Path) -> bool {
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => false,
        // Removed before it was locked, it is not there any more.
        Ok(()) => path.exists(),
        // A file system without locks: nobody can take anything for a leftover there.
        Err(TryLockError::Error(_)) => true,
    }
}

/// Removes temporary files in the folder of `path` whose writers are no more. What cannot be removed stays; saving does not depend on it.
fn remove_leftovers(path: &Path) {
    for entry in std::fs::read_dir(folder(path)).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let ours = name.to_str().is_some_and(|n| n.starts_with('.') && n.ends_with(SUFFIX));
        // Of the entry itself: links and pipes are no writer's.
        if !ours || !entry.file_type().is_ok_and(|kind| kind.is_file()) {
            continue;
        }
        // Locks need a file that may be written on some systems.
        if let Ok(file) = OpenOptions::new().write(true).open(entry.path())
            && file.try_lock().is_ok()
        {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

/// Writes to the disk, under the permissions of the file that is going to be replaced.
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

/// Brings the new name to the disk, where folders can be synced. The file is already there, so failing is no failure.
fn sync_folder(path: &Path) {
    if cfg!(unix) {
        let _ = File::open(folder(path)).and_then(|f| f.sync_all());
    }
}
