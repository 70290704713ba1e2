//! This machine: folders, ports, programs, the clock. Nothing is changed.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::fs::{Access, access, statvfs};

use super::Check;

/// Below this, a journal of the usual size may not fit.
const LITTLE_MIB: u64 = 1024;
/// Below this, the service may not even start.
const NOTHING_MIB: u64 = 64;
/// Open files besides connections.
const OTHER_FILES: u64 = 256;
const PATIENCE: Duration = Duration::from_secs(2);

/// Whether the data directory exists or can be made, and only its owner can use it.
pub fn data_dir(folder: &Path) -> Check {
    const NAME: &str = "data directory";
    let shown = folder.display();
    let fix = |at: &Path| {
        format!(
            "chown it to the user that mapek runs as (now: {}), or give another --data-dir",
            at.display()
        )
    };
    match fs::metadata(folder) {
        Ok(found) if !found.is_dir() => Check::fail(
            NAME,
            format!("{shown} is not a folder"),
            "give another --data-dir",
        ),
        Ok(_) if access(folder, Access::WRITE_OK | Access::EXEC_OK).is_err() => Check::fail(
            NAME,
            format!("{shown} can't be written to by this user"),
            fix(folder),
        ),
        Ok(found) if found.permissions().mode() & 0o077 != 0 => Check::warn(
            NAME,
            format!("{shown} is open to other users; the service closes it when it starts"),
            format!("chmod 700 {shown}"),
        ),
        Ok(_) => Check::ok(NAME, format!("{shown} is there, and closed to other users")),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let there = existing(folder);
            match access(there, Access::WRITE_OK | Access::EXEC_OK) {
                Ok(()) => Check::ok(NAME, format!("{shown} will be made at the first start")),
                Err(_) => Check::fail(
                    NAME,
                    format!(
                        "{shown} is not there, and this user can't make it in {}",
                        there.display()
                    ),
                    format!("install -d -m 700 -o USER {shown}, or give another --data-dir"),
                ),
            }
        }
        Err(error) => Check::fail(NAME, format!("{shown}: {error}"), fix(folder)),
    }
}

/// The nearest folder above it that exists.
fn existing(folder: &Path) -> &Path {
    let mut above = folder.ancestors().filter(|path| !path.as_os_str().is_empty());
    above.find(|path| path.exists()).unwrap_or(Path::new("."))
}

/// How much room is left for the journal.
pub fn space(folder: &Path) -> Option<Check> {
    const NAME: &str = "disk space";
    let disk = statvfs(existing(folder)).ok()?;
    let free = disk.f_bavail.saturating_mul(disk.f_frsize) >> 20;
    let says = format!("{free} MiB are free for the data directory");
    let fix = "free some space, or give a --data-dir on another disk";
    Some(if free < NOTHING_MIB {
        Check::fail(NAME, says, fix)
    } else if free < LITTLE_MIB {
        Check::warn(NAME, says, fix)
    } else {
        Check::ok(NAME, says)
    })
}

/// Whether the service could listen.
pub fn port(address: SocketAddr) -> Check {
    const NAME: &str = "port";
    match TcpListener::bind(address) {
        Ok(_) => Check::ok(NAME, format!("{address} is free")),
        Err(error) if error.kind() == ErrorKind::AddrInUse && is_mapek(address) => {
            Check::ok(NAME, format!("a mapek is running at {address}"))
        }
        Err(error) if error.kind() == ErrorKind::AddrInUse => Check::fail(
            NAME,
            format!("another program listens at {address}"),
            format!(
                "stop it (ss -ltnp 'sport = :{}' names it), or give another --listen",
                address.port()
            ),
        ),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => Check::fail(
            NAME,
            format!("this user can't listen at {address}"),
            "take a port from 1024 on, or give the program CAP_NET_BIND_SERVICE",
        ),
        Err(error) => Check::fail(
            NAME,
            format!("nobody can listen at {address}: {error}"),
            "give --listen an address that this machine has",
        ),
    }
}

/// Whether a mapek answers there. One that speaks TLS is not recognised.
fn is_mapek(address: SocketAddr) -> bool {
    let ask = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        write!(stream, "GET /openapi.json HTTP/1.0\r\nHost: {address}\r\n\r\n")?;
        let mut answer = vec![0; 4096];
        let mut read = 0;
        while let Some(room) = answer.get_mut(read..).filter(|room| !room.is_empty()) {
            match stream.read(room)? {
                0 => break,
                some => read += some,
            }
        }
        answer.truncate(read);
        Ok(String::from_utf8_lossy(&answer).into_owned())
    };
    ask()
        .is_ok_and(|answer| answer.contains("\"title\":\"mapek\"") || answer.contains("\"title\": \"mapek\""))
}

/// Whether enough files may be open for all connections.
pub fn open_files(connections: usize) -> Check {
    const NAME: &str = "open files";
    let Ok((_, most)) = rlimit::Resource::NOFILE.get() else {
        return Check::warn(NAME, "the limit can't be read", "see ulimit -Hn");
    };
    let needed = u64::try_from(connections)
        .unwrap_or(u64::MAX)
        .saturating_add(OTHER_FILES);
    if most < needed {
        return Check::warn(
            NAME,
            format!("{most} may be open, which is too few for {connections} connections"),
            format!("raise the limit (LimitNOFILE={needed} in the systemd unit), or lower --max-connections"),
        );
    }
    Check::ok(
        NAME,
        format!("{most} may be open, enough for {connections} connections"),
    )
}

/// Hooks are fetched with a library, not a program.
pub fn git() -> Check {
    let (major, minor, patch) = git2::Version::get().libgit2_version();
    Check::ok(
        "git",
        format!("built in (libgit2 {major}.{minor}.{patch}); no git program is needed"),
    )
}

/// Engines behind SSH need a program.
pub fn ssh() -> Check {
    const NAME: &str = "ssh";
    let said = Command::new("ssh").arg("-V").stdin(Stdio::null()).output();
    match said {
        Ok(output) => {
            let version = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            Check::ok(NAME, version)
        }
        Err(_) => Check::warn(
            NAME,
            "there is no ssh program, which is needed to reach engines at ssh://…",
            "apt-get install openssh-client, if the topology has such engines",
        ),
    }
}

/// Whether the clock is kept by NTP. AWS refuses requests whose time is minutes off.
pub fn clock() -> Check {
    const NAME: &str = "clock";
    let fix = "run systemd-timesyncd, chrony or another NTP client; AWS refuses requests from a clock that is minutes off";
    let said = Command::new("timedatectl")
        .args(["show", "--property=NTPSynchronized", "--value"])
        .stdin(Stdio::null())
        .output();
    let said = said.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    match said.as_deref() {
        Ok("yes") => Check::ok(NAME, "kept by NTP"),
        Ok("no") => Check::warn(NAME, "not kept by NTP", fix),
        _ => Check::warn(
            NAME,
            "it is not known whether NTP keeps it: there is no timedatectl",
            fix,
        ),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::super::Verdict;
    use super::*;

    #[test]
    fn a_folder_is_judged_as_it_is_or_as_it_could_be_made() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("a/b");
        let check = data_dir(&missing);
        assert!(
            check.verdict == Verdict::Ok && check.says.contains("will be made"),
            "{check:?}"
        );
        assert!(!missing.exists(), "nothing is changed");
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(data_dir(folder.path()).verdict, Verdict::Warn);
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).unwrap();
        assert_eq!(data_dir(folder.path()).verdict, Verdict::Ok);
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        assert_eq!(data_dir(&file).verdict, Verdict::Fail);
        assert_eq!(data_dir(&file.join("below")).verdict, Verdict::Fail, "in a file");
    }

    #[test]
    fn a_port_is_free_or_taken_or_impossible() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        // Nobody answers there, so it is not a mapek.
        let check = port(address);
        assert!(
            check.verdict == Verdict::Fail && check.fix.contains("--listen"),
            "{check:?}"
        );
        drop(taken);
        assert_eq!(port(address).verdict, Verdict::Ok);
        assert_eq!(port("192.0.2.1:80".parse().unwrap()).verdict, Verdict::Fail);
    }

    #[test]
    fn more_connections_than_files_are_warned_of() {
        assert_eq!(open_files(usize::MAX).verdict, Verdict::Warn);
        assert_eq!(open_files(1).verdict, Verdict::Ok);
    }
}
