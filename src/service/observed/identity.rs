//! Which engine is behind which name: two names for one engine, and an engine in another one's place.
//! Pure.

use std::collections::BTreeMap;

use serde_json::json;

use crate::engine::Identity;
use crate::fault::{Code, Fault};
use crate::model::{Allocation, VmId};

/// Engines as they were seen, by the names of their VMs.
pub type Engines = BTreeMap<VmId, Identity>;

/// The recorded ids.
pub type Known = BTreeMap<VmId, String>;

/// Refuses two names for one engine: each would be filled as if it were a machine of its own.
pub fn refuse_shared(engines: &Engines) -> Result<(), Fault> {
    let mut names: BTreeMap<&Identity, Vec<&VmId>> = BTreeMap::new();
    for (vm, identity) in engines.iter().filter(|(_, one)| one.same_engine(one)) {
        names.entry(identity).or_default().push(vm);
    }
    let shared: Vec<Vec<&VmId>> = names.into_values().filter(|vms| vms.len() > 1).collect();
    if shared.is_empty() {
        return Ok(());
    }
    let tell = |vms: &Vec<&VmId>| {
        let names: Vec<String> = vms.iter().map(|vm| format!("'{vm}'")).collect();
        format!("{} are names of one engine", names.join(" and "))
    };
    let message = format!(
        "{}; keep one name, or correct the endpoints in the topology",
        shared.iter().map(tell).collect::<Vec<_>>().join("; ")
    );
    Err(Fault::new(Code::EngineShared, message).with(shared.iter().map(|vms| json!({ "vms": vms }))))
}

/// Refuses an engine that has taken the place of the one that the VM's containers were put on. If
/// nothing was put on the VM, any engine will do.
pub fn refuse_changed(
    allocation: &Allocation,
    known: &Known,
    vm: &VmId,
    now: &Identity,
) -> Result<(), Fault> {
    let used = allocation.vms.get(vm).is_some_and(|vm| !vm.used.is_empty());
    let Some(before) = known.get(vm).filter(|before| used && now.differs_from(before)) else {
        return Ok(());
    };
    let message = format!(
        "VM '{vm}' is not the engine that its containers were put on: that had the id {}, this one has {}; its \
         endpoint leads elsewhere now, or the engine was installed anew. Correct the endpoint; or, where the old \
         engine is gone for good, give the VM up with DELETE /api/allocation/{vm} and send the plan again",
        before, now.id
    );
    let details = json!({ "vm": vm, "was": before, "is": now.id });
    Err(Fault::new(Code::EngineChanged, message).with([details]))
}

/// What has to be recorded because it is new or has changed.
pub fn news(known: &Known, seen: &Engines) -> Known {
    let new = |(vm, now): &(&VmId, &Identity)| !now.id.is_empty() && known.get(*vm) != Some(&now.id);
    let seen = seen.iter().filter(new);
    seen.map(|(vm, now)| (vm.clone(), now.id.clone())).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::model::{Container, Size, TierId, Vm};

    fn engine(id: &str, home: &str) -> Identity {
        Identity {
            id: id.to_owned(),
            home: home.to_owned(),
        }
    }

    fn engines(of: &[(&str, &str, &str)]) -> Engines {
        of.iter()
            .map(|(vm, id, home)| (VmId::new(vm), engine(id, home)))
            .collect()
    }

    #[test]
    fn two_names_for_one_engine_are_refused_by_both_names() {
        let one = [("a", "X", "h1:/d"), ("b", "Y", "h2:/d"), ("c", "X", "h1:/d")];
        let fault = refuse_shared(&engines(&one)).unwrap_err();
        assert_eq!(fault.code, Code::EngineShared);
        assert!(
            fault.message.contains("'a' and 'c' are names of one engine"),
            "{fault}"
        );
        // Machines copied from one image, and engines without an id, are machines of their own.
        for fine in [
            [("a", "X", "h1:/d"), ("b", "X", "h2:/d")],
            [("a", "X", "h1:/d"), ("b", "X", "h1:/other")],
            [("a", "", "h1:/d"), ("b", "", "h1:/d")],
        ] {
            refuse_shared(&engines(&fine)).unwrap();
        }
    }

    #[test]
    fn another_engine_is_refused_only_where_containers_were_put_on_the_first() {
        let vm = VmId::new("vm1");
        let known = Known::from([(VmId::new("vm1"), "X".to_owned())]);
        let mut allocation = Allocation::default();
        let refused = |allocation: &Allocation, id: &str| {
            refuse_changed(allocation, &known, &vm, &engine(id, "h1:/d")).is_err()
        };
        assert!(!refused(&allocation, "Y"));
        allocation
            .vms
            .insert(vm.clone(), Vm::empty(None, Size::new(1, 1)));
        assert!(!refused(&allocation, "Y"));
        let used = &mut allocation.vms.get_mut("vm1").unwrap().used;
        used.insert(TierId::new("a_b"), Container::default());
        assert!(refused(&allocation, "Y"));
        assert!(!refused(&allocation, "X") && !refused(&allocation, ""));
        // A machine may be renamed.
        refuse_changed(&allocation, &known, &vm, &engine("X", "h9:/d")).unwrap();
    }

    #[test]
    fn only_what_is_new_is_remembered() {
        let ids = |of: &[(&str, &str)]| -> Known {
            of.iter()
                .map(|(vm, id)| (VmId::new(vm), (*id).to_owned()))
                .collect()
        };
        let seen = engines(&[("a", "X", "h"), ("b", "Z", "h"), ("c", "W", "h"), ("d", "", "h")]);
        assert_eq!(
            news(&ids(&[("a", "X"), ("b", "Y")]), &seen),
            ids(&[("b", "Z"), ("c", "W")])
        );
    }
}
