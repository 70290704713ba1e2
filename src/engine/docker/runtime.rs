//! Options of a container's processes in Docker's terms: how they are requested, and whether the
//! reported ones are those that were requested. Pure.

use bollard::models::{ContainerCreateBody, HostConfig, ResourcesUlimits};

use crate::model::topology::{DEFAULT_PIDS, Pids, RuntimeOptions, Ulimit};

const NO_NEW_PRIVILEGES: &str = "no-new-privileges";

/// What the engine is told when a container is made.
pub fn apply(options: &RuntimeOptions, body: &mut ContainerCreateBody, host: &mut HostConfig) {
    let some = |names: &[String]| (!names.is_empty()).then(|| names.to_vec());
    body.stop_signal.clone_from(&options.stop_signal);
    host.pids_limit = Some(match options.pids {
        None => DEFAULT_PIDS.into(),
        Some(Pids::AtMost(most)) => most.into(),
        Some(Pids::Unlimited) => -1,
    });
    if !options.ulimits.is_empty() {
        host.ulimits = Some(options.ulimits.iter().map(ulimit).collect());
    }
    host.readonly_rootfs = options.read_only;
    if !options.tmpfs.is_empty() {
        host.tmpfs = Some(options.tmpfs.clone().into_iter().collect());
    }
    host.shm_size = options.shm_size.map(|bytes| signed(Some(bytes)));
    host.cap_add = some(&options.cap_add);
    host.cap_drop = some(&options.cap_drop);
    if options.no_new_privileges != Some(false) {
        host.security_opt = Some(vec![NO_NEW_PRIVILEGES.to_owned()]);
    }
    host.init = options.init;
}

/// The difference between what was requested and what the engine reports about a container; None if
/// there is none. An engine whose kernel can't count processes reports no limit: that matters only
/// if the topology asks for one.
pub fn difference(options: &RuntimeOptions, host: &HostConfig, stop_signal: Option<&str>) -> Option<String> {
    let mut wrong = Vec::new();
    let pids = host.pids_limit.filter(|limit| *limit > 0);
    let asked = match options.pids {
        None => pids.and(Some(i64::from(DEFAULT_PIDS))),
        Some(Pids::AtMost(most)) => Some(most.into()),
        Some(Pids::Unlimited) => None,
    };
    if pids != asked {
        let number = |limit: Option<i64>| limit.map_or_else(|| "none".to_owned(), |limit| limit.to_string());
        wrong.push(format!("pids_limit {}, asked {}", number(pids), number(asked)));
    }
    let reported = host.ulimits.clone().unwrap_or_default();
    for asked in options.ulimits.iter().map(ulimit) {
        // The engine may add some of its own.
        let found = reported.iter().find(|found| found.name == asked.name);
        if found != Some(&asked) {
            let name = asked.name.unwrap_or_default();
            wrong.push(format!("another ulimit {name} than asked"));
        }
    }
    if host.readonly_rootfs.unwrap_or_default() != options.read_only.unwrap_or_default() {
        wrong.push(format!(
            "read_only {:?}",
            host.readonly_rootfs.unwrap_or_default()
        ));
    }
    let tmpfs = host.tmpfs.clone().unwrap_or_default();
    if tmpfs != options.tmpfs.clone().into_iter().collect() {
        wrong.push("another tmpfs than asked".to_owned());
    }
    if options
        .shm_size
        .is_some_and(|bytes| host.shm_size != Some(signed(Some(bytes))))
    {
        wrong.push(format!("shm_size {}", host.shm_size.unwrap_or_default()));
    }
    for (name, asked, reported) in [
        ("cap_add", &options.cap_add, &host.cap_add),
        ("cap_drop", &options.cap_drop, &host.cap_drop),
    ] {
        let reported = plain(reported.as_deref().unwrap_or_default());
        if reported != *asked {
            wrong.push(format!("{name} {reported:?}, asked {asked:?}"));
        }
    }
    let gains = !host.security_opt.iter().flatten().any(|option| {
        // Docker accepts it with a value, too.
        let rest = option.strip_prefix(NO_NEW_PRIVILEGES);
        rest.is_some_and(|rest| matches!(rest, "" | ":true" | "=true"))
    });
    if gains != (options.no_new_privileges == Some(false)) {
        wrong.push(format!("no_new_privileges {}", !gains));
    }
    if options.init.is_some_and(|asked| host.init != Some(asked)) {
        wrong.push(format!("init {:?}", host.init));
    }
    if let Some(asked) = &options.stop_signal
        && stop_signal != Some(asked)
    {
        wrong.push(format!(
            "stop_signal {}, asked {asked}",
            stop_signal.unwrap_or("none")
        ));
    }
    (!wrong.is_empty()).then(|| wrong.join("; "))
}

/// Without the `CAP_` that newer engines put in front, in a fixed order.
fn plain(names: &[String]) -> Vec<String> {
    let plain = |name: &String| name.strip_prefix("CAP_").unwrap_or(name).to_owned();
    let mut names: Vec<String> = names.iter().map(plain).collect();
    names.sort_unstable();
    names
}

fn ulimit((name, limit): (&String, &Ulimit)) -> ResourcesUlimits {
    ResourcesUlimits {
        name: Some(name.clone()),
        soft: Some(signed(limit.soft)),
        hard: Some(signed(limit.hard)),
    }
}

/// For Docker, -1 means no limit.
fn signed(amount: Option<u64>) -> i64 {
    amount.map_or(-1, |amount| i64::try_from(amount).unwrap_or(i64::MAX))
}
