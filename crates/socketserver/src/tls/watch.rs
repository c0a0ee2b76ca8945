use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use rustix::io::Errno;
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::ffi::{OsStr, OsString};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

/// Watches files for changes, whichever way these come about, with `inotify(7)`: a file that is written, or another that is
/// renamed over it, or a symbolic link on the way there that points elsewhere, or a directory in another's place.
///
/// What is on another machine's disk changes unseen.
#[derive(Debug)]
pub(super) struct Watch {
    inotify: OwnedFd,
    /// Of each place, by its number, the names in it that matter.
    watched: HashMap<i32, HashSet<OsString>>,
}

/// Something in a directory comes, goes or is written.
const WITHIN: WatchFlags = WatchFlags::CREATE
    .union(WatchFlags::MOVED_TO)
    .union(WatchFlags::MOVED_FROM)
    .union(WatchFlags::DELETE)
    .union(WatchFlags::CLOSE_WRITE)
    .union(WatchFlags::ATTRIB);
/// The place itself goes.
const ITSELF: WatchFlags = WatchFlags::MOVE_SELF.union(WatchFlags::DELETE_SELF);
/// A file is written, or may be read now: in a container it may be all there is to be seen of the directory.
const FILE: WatchFlags = WatchFlags::CLOSE_WRITE.union(WatchFlags::ATTRIB).union(ITSELF);

/// How many symbolic links one path may lead over, `path_resolution(7)`.
const LINKS: usize = 40;
/// How often to look again when something on the way goes while it is looked at.
const ATTEMPTS: usize = 3;
/// How much is taken in at a time: the rest keeps the descriptor readable.
const READS: usize = 64;

/// Where to look, and for what.
type Places = BTreeMap<PathBuf, (WatchFlags, HashSet<OsString>)>;

impl Watch {
    pub(super) fn new() -> io::Result<Self> {
        let inotify = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
        Ok(Self { inotify, watched: HashMap::new() })
    }

    /// Watches these files, where they are now, and nothing else. What cannot be watched is told, and the rest is watched.
    pub(super) fn follow<'a>(
        &mut self,
        files: impl Iterator<Item = &'a Path> + Clone,
    ) -> Result<(), (PathBuf, io::Error)> {
        let mut result = Ok(());
        for _ in 0..ATTEMPTS {
            let mut places = Places::new();
            files.clone().for_each(|file| route(file, &mut places));
            result = self.watch(places);
            if !matches!(&result, Err((_, error)) if is_gone(error)) {
                break;
            }
        }
        result
    }

    fn watch(&mut self, places: Places) -> Result<(), (PathBuf, io::Error)> {
        let mut result = Ok(());
        let mut watched: HashMap<i32, HashSet<OsString>> = HashMap::new();
        for (place, (flags, names)) in places {
            match inotify::add_watch(&self.inotify, &place, flags | WatchFlags::MASK_ADD) {
                Ok(number) => watched.entry(number).or_default().extend(names),
                // Nobody but its owner renames it, and he knows; what is in it is watched, if need be.
                Err(Errno::ACCESS) if names.is_empty() => {}
                Err(error) => {
                    if result.is_ok() {
                        result = Err((place, error.into()));
                    }
                }
            }
        }
        for number in self.watched.keys().filter(|number| !watched.contains_key(number)) {
            // It has gone by itself, with its place.
            let _ = inotify::remove_watch(&self.inotify, *number);
        }
        self.watched = watched;
        result
    }

    /// Whether anything has happened that matters, since the last time.
    pub(super) fn take(&mut self) -> bool {
        let mut happened = false;
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut reader = Reader::new(&self.inotify, &mut buffer);
        let mut reads = 0;
        loop {
            if reader.is_buffer_empty() {
                if reads == READS {
                    return happened;
                }
                reads += 1;
            }
            let Ok(event) = reader.next() else { return happened };
            let Some(names) = self.watched.get(&event.wd()) else {
                // So much that some of it was lost.
                happened |= event.events().contains(ReadFlags::QUEUE_OVERFLOW);
                continue;
            };
            happened |= match event.file_name() {
                Some(name) => names.contains(OsStr::from_bytes(name.to_bytes())),
                None => !event.events().contains(ReadFlags::IGNORED),
            };
        }
    }
}

impl AsFd for Watch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inotify.as_fd()
    }
}

fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// Every place on the way to a file where something may change what the path leads to.
fn route(file: &Path, places: &mut Places) {
    let mut note = |place: &Path, flags: WatchFlags, name: Option<&OsStr>| {
        let (all, names) = places.entry(place.to_owned()).or_insert((ITSELF, HashSet::new()));
        *all |= flags;
        names.extend(name.map(OsStr::to_owned));
    };
    let mut at = PathBuf::from("/");
    let mut rest = steps(file);
    let mut links = 0;
    while let Some(name) = rest.pop_front() {
        if name == ".." {
            at.pop();
            continue;
        }
        let place = at.join(&name);
        match std::fs::symlink_metadata(&place) {
            Ok(stat) if stat.is_symlink() => {
                note(&at, WITHIN, Some(&name));
                links += 1;
                let Ok(target) = std::fs::read_link(&place) else { return };
                if links > LINKS {
                    return;
                }
                if target.is_absolute() {
                    at = PathBuf::from("/");
                }
                let mut on = steps(&target);
                on.append(&mut rest);
                rest = on;
            }
            Ok(_) if rest.is_empty() => {
                note(&at, WITHIN, Some(&name));
                note(&place, FILE, None);
            }
            Ok(_) => {
                note(&place, ITSELF, None);
                at = place;
            }
            Err(_) => {
                note(&at, WITHIN, Some(&name));
                return;
            }
        }
    }
}

/// The names of a path, and `..` where it stands.
fn steps(path: &Path) -> VecDeque<OsString> {
    let steps = path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        _ => None,
    });
    steps.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    /// A directory, and a watch for `path` in it.
    fn watch(set_up: impl FnOnce(&Path), path: &str) -> (tempfile::TempDir, PathBuf, Watch) {
        let dir = tempfile::tempdir().unwrap();
        set_up(dir.path());
        let file = dir.path().join(path);
        let mut watch = Watch::new().unwrap();
        watch.follow([file.as_path()].into_iter()).unwrap();
        assert!(!watch.take());
        (dir, file, watch)
    }

    fn plain(dir: &Path) {
        fs::write(dir.join("file"), "1").unwrap();
    }

    #[test]
    fn what_is_written_renamed_or_gone_is_seen() {
        let (dir, file, mut watch) = watch(plain, "file");
        fs::write(&file, "2").unwrap();
        assert!(watch.take() && !watch.take());
        fs::write(dir.path().join("other"), "3").unwrap();
        assert!(!watch.take(), "another file is none of its business");
        fs::rename(dir.path().join("other"), &file).unwrap();
        assert!(watch.take());
        fs::remove_file(&file).unwrap();
        assert!(watch.take());
        watch.follow([file.as_path()].into_iter()).unwrap();
        fs::write(&file, "4").unwrap();
        assert!(watch.take());
    }

    #[test]
    fn reading_is_no_change() {
        let (_dir, file, mut watch) = watch(plain, "file");
        fs::read(file).unwrap();
        assert!(!watch.take());
    }

    /// As Kubernetes mounts secrets: `..data` is renamed to another directory.
    #[test]
    fn a_link_to_another_directory_is_seen() {
        let set_up = |dir: &Path| {
            fs::create_dir(dir.join("..1")).unwrap();
            fs::write(dir.join("..1/file"), "1").unwrap();
            symlink("..1", dir.join("..data")).unwrap();
            symlink("..data/file", dir.join("file")).unwrap();
        };
        let (dir, file, mut watch) = watch(set_up, "file");
        let dir = dir.path();
        for round in 2..5 {
            let new = dir.join(format!("..{round}"));
            fs::create_dir(&new).unwrap();
            fs::write(new.join("file"), "2").unwrap();
            symlink(&new, dir.join("..new")).unwrap();
            assert!(!watch.take(), "nothing leads there yet");
            fs::rename(dir.join("..new"), dir.join("..data")).unwrap();
            assert!(watch.take());
            watch.follow([file.as_path()].into_iter()).unwrap();
            fs::remove_dir_all(dir.join(format!("..{}", round - 1))).unwrap();
            assert!(!watch.take(), "the old one matters no more");
            // Where the file is now is watched.
            fs::write(new.join("file"), "3").unwrap();
            assert!(watch.take());
        }
    }

    /// As certbot has it: `live/` has links to what is in `archive/`.
    #[test]
    fn a_link_to_another_file_is_seen() {
        let set_up = |dir: &Path| {
            fs::create_dir_all(dir.join("live/example")).unwrap();
            fs::create_dir_all(dir.join("archive/example")).unwrap();
            fs::write(dir.join("archive/example/file1"), "1").unwrap();
            symlink("../../archive/example/file1", dir.join("live/example/file")).unwrap();
        };
        let (dir, file, mut watch) = watch(set_up, "live/example/file");
        fs::write(dir.path().join("archive/example/file2"), "2").unwrap();
        assert!(!watch.take());
        fs::remove_file(&file).unwrap();
        symlink("../../archive/example/file2", &file).unwrap();
        assert!(watch.take());
        watch.follow([file.as_path()].into_iter()).unwrap();
        fs::write(dir.path().join("archive/example/file2"), "3").unwrap();
        assert!(watch.take());
    }

    #[test]
    fn a_directory_in_anothers_place_is_seen() {
        let set_up = |dir: &Path| {
            fs::create_dir_all(dir.join("a/b")).unwrap();
            fs::write(dir.join("a/b/file"), "1").unwrap();
        };
        let (dir, file, mut watch) = watch(set_up, "a/b/file");
        let dir = dir.path();
        fs::create_dir_all(dir.join("new/b")).unwrap();
        fs::write(dir.join("new/b/file"), "2").unwrap();
        fs::rename(dir.join("a"), dir.join("old")).unwrap();
        assert!(watch.take());
        // While there is nothing it waits for something to come.
        watch.follow([file.as_path()].into_iter()).unwrap();
        assert!(!watch.take());
        fs::rename(dir.join("new"), dir.join("a")).unwrap();
        assert!(watch.take());
    }

    #[test]
    fn links_in_a_circle_come_to_an_end() {
        let set_up = |dir: &Path| symlink("file", dir.join("file")).unwrap();
        let (dir, file, mut watch) = watch(set_up, "file");
        fs::write(dir.path().join("new"), "1").unwrap();
        fs::rename(dir.path().join("new"), &file).unwrap();
        assert!(watch.take());
    }
}
