//! The limits that the kernel has for a container, read from its control group and not from Docker.

use std::path::PathBuf;

use crate::daemons::Vm;

/// The cores that the container may run on, such as `0-1`.
pub fn cores(vm: &Vm, container: &str) -> String {
    read(vm, container, "cpuset", ["cpuset.cpus", "cpuset.cpus"])
}

/// Its memory limit in bytes.
pub fn memory(vm: &Vm, container: &str) -> u64 {
    let text = read(vm, container, "memory", ["memory.limit_in_bytes", "memory.max"]);
    text.parse().unwrap()
}

/// Bytes of swap that it may use in addition to its memory.
pub fn swap(vm: &Vm, container: &str) -> u64 {
    let files = ["memory.memsw.limit_in_bytes", "memory.swap.max"];
    let value: u64 = read(vm, container, "memory", files).parse().unwrap();
    // In the first version of control groups, the limit is for both together.
    if is_unified() {
        value
    } else {
        value - memory(vm, container)
    }
}

/// Its share of processor time, in hundredths of a core.
pub fn cpu_hundredths(vm: &Vm, container: &str) -> u64 {
    let (quota, period) = if is_unified() {
        let both = read(vm, container, "cpu", ["", "cpu.max"]);
        let (quota, period) = both.split_once(' ').unwrap();
        (quota.to_owned(), period.to_owned())
    } else {
        let one = |file| read(vm, container, "cpu", [file, ""]);
        (one("cpu.cfs_quota_us"), one("cpu.cfs_period_us"))
    };
    let number = |text: String| text.parse::<u64>().unwrap();
    number(quota) * 100 / number(period)
}

fn is_unified() -> bool {
    PathBuf::from("/sys/fs/cgroup/cgroup.controllers").exists()
}

/// The content of a control file: the first name in the older tree of `controller`, the second
/// in the unified tree.
fn read(vm: &Vm, container: &str, controller: &str, [old, unified]: [&str; 2]) -> String {
    let seen = vm.inspect(container).expect("the container is there");
    let groups = std::fs::read_to_string(format!("/proc/{}/cgroup", seen["State"]["Pid"])).unwrap();
    let file = groups
        .lines()
        .find_map(|line| {
            let mut fields = line.splitn(3, ':');
            let (_, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
            if is_unified() {
                return Some(format!("/sys/fs/cgroup{path}/{unified}"));
            }
            let found = controllers.split(',').any(|one| one == controller);
            found.then(|| format!("/sys/fs/cgroup/{controller}{path}/{old}"))
        })
        .unwrap_or_else(|| panic!("no control group for {controller} in\n{groups}"));
    let text = std::fs::read_to_string(&file);
    text.unwrap_or_else(|error| panic!("{file}: {error}"))
        .trim()
        .to_owned()
}
