//! The lab's network: a bridge `lab0` with the sandbox itself at 10.77.1.254, and a network
//! namespace for each VM with an address of its own on it.
//!
//! VMs and their containers reach each other's published ports as on a real network. There is no
//! route out of the sandbox.

use std::process::Command;

use crate::process::run;

/// The sandbox's own address on the lab's network: the test and `mapek` are there.
pub const HOST: &str = "10.77.1.254";

fn ip(arguments: &str) {
    run(Command::new("ip").args(arguments.split(' ')));
}

/// Makes the bridge.
pub fn prepare() {
    ip("link add lab0 type bridge");
    ip(&format!("addr add {HOST}/24 dev lab0"));
    ip("link set lab0 up");
    std::fs::write("/proc/sys/net/ipv4/ip_forward", "1").unwrap();
}

/// Makes the namespace `name` with the address `address`, routed through the sandbox.
pub fn add_machine(name: &str, address: &str) {
    ip(&format!("netns add {name}"));
    ip(&format!("link add {name} type veth peer name eth0 netns {name}"));
    ip(&format!("link set {name} master lab0 up"));
    ip(&format!("-n {name} link set lo up"));
    ip(&format!("-n {name} addr add {address}/24 dev eth0"));
    ip(&format!("-n {name} link set eth0 up"));
    ip(&format!("-n {name} route add default via {HOST}"));
}

/// Sets the link between a machine and the bridge `up` or `down`.
pub fn set_link(name: &str, state: &str) {
    ip(&format!("link set {name} {state}"));
}

/// Keeps a machine from answering anybody at [`HOST`].
pub fn silence(name: &str) {
    ip(&format!("-n {name} route add unreachable {HOST}/32"));
}

/// Undoes [`silence`].
pub fn unsilence(name: &str) {
    ip(&format!("-n {name} route del unreachable {HOST}/32"));
}

/// Sends what is for `network` (in CIDR notation) to the machine at `address`.
pub fn route(network: &str, address: &str) {
    ip(&format!("route add {network} via {address}"));
}

/// Whether the kernel has the NAT table, with which Docker publishes ports in real life.
pub fn has_nat() -> bool {
    Command::new("iptables")
        .args(["-t", "nat", "-L", "-n"])
        .output()
        .is_ok_and(|output| output.status.success())
}

/// A command to be run in the network of machine `name`. Not `ip netns exec`: that mounts /sys
/// anew, and the control groups would be gone.
pub fn command_in(name: &str, program: &str) -> Command {
    let mut command = Command::new("nsenter");
    command.arg(format!("--net=/run/netns/{name}")).arg(program);
    command
}
