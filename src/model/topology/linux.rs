//! The names of limits, capabilities and signals in Linux and Docker.

/// Limits that Linux knows, without `RLIMIT_`.
pub const ULIMITS: [&str; 15] = [
    "core",
    "cpu",
    "data",
    "fsize",
    "locks",
    "memlock",
    "msgqueue",
    "nice",
    "nofile",
    "nproc",
    "rss",
    "rtprio",
    "rttime",
    "sigpending",
    "stack",
];
/// Capabilities that Linux knows, without `CAP_`, and `ALL`.
pub const CAPABILITIES: [&str; 42] = [
    "ALL",
    "AUDIT_CONTROL",
    "AUDIT_READ",
    "AUDIT_WRITE",
    "BLOCK_SUSPEND",
    "BPF",
    "CHECKPOINT_RESTORE",
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "IPC_LOCK",
    "IPC_OWNER",
    "KILL",
    "LEASE",
    "LINUX_IMMUTABLE",
    "MAC_ADMIN",
    "MAC_OVERRIDE",
    "MKNOD",
    "NET_ADMIN",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_RAW",
    "PERFMON",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYSLOG",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_CHROOT",
    "SYS_MODULE",
    "SYS_NICE",
    "SYS_PACCT",
    "SYS_PTRACE",
    "SYS_RAWIO",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "WAKE_ALARM",
];
/// Signals that a container may be stopped with.
pub const SIGNALS: [&str; 36] = [
    "ABRT", "ALRM", "BUS", "CHLD", "CONT", "FPE", "HUP", "ILL", "INT", "IO", "KILL", "PIPE", "POLL", "PROF",
    "PWR", "QUIT", "SEGV", "STKFLT", "STOP", "SYS", "TERM", "TRAP", "TSTP", "TTIN", "TTOU", "URG", "USR1",
    "USR2", "VTALRM", "WINCH", "XCPU", "XFSZ", "CLD", "IOT", "RTMIN", "RTMAX",
];
/// Options of a tmpfs that take no value, and those that do.
pub const TMPFS_WORDS: [&str; 14] = [
    "ro",
    "rw",
    "exec",
    "noexec",
    "suid",
    "nosuid",
    "dev",
    "nodev",
    "sync",
    "async",
    "atime",
    "noatime",
    "diratime",
    "nodiratime",
];
pub const TMPFS_VALUES: [&str; 5] = ["size", "mode", "uid", "gid", "nr_inodes"];

/// Whether the kernel takes a value for that option of a tmpfs.
pub fn takes(option: &str, value: &str) -> bool {
    let number = |text: &str, base: u32, most: u64| {
        !text.starts_with('+') && u64::from_str_radix(text, base).is_ok_and(|number| number <= most)
    };
    match option {
        "mode" => number(value, 8, 0o7777),
        // The highest one stands for none.
        "uid" | "gid" => number(value, 10, u64::from(u32::MAX) - 1),
        _ => {
            let percent = value.strip_suffix('%').filter(|_| option == "size");
            let digits = value.trim_end_matches(['k', 'K', 'm', 'M', 'g', 'G', 't', 'T']);
            // At most one letter behind the number.
            let scaled = value.len() - digits.len() <= 1 && number(digits, 10, 1 << 40);
            percent.map_or(scaled, |percent| number(percent, 10, 100))
        }
    }
}
