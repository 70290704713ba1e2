//! The table of error codes. The enum, the statuses, the answers' examples in openapi.json and
//! docs/errors.md are all made from it, so that a code is added in one place.

use std::fmt;

/// One line for each code: variant, name in answers, HTTP status, meaning, remedy.
macro_rules! codes {
    ($($variant:ident, $name:literal, $status:literal, $meaning:literal, $remedy:literal;)+) => {
        /// Every code that an answer or a record can carry.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Code {
            $(#[doc = $meaning] $variant,)+
        }

        impl Code {
            /// All of them, in the table's order.
            pub const ALL: [Self; [$($name),+].len()] = [$(Self::$variant),+];

            /// The name that answers and records contain.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// The HTTP status of an answer with this code.
            #[must_use]
            pub const fn status(self) -> u16 {
                match self { $(Self::$variant => $status,)+ }
            }

            /// What it means.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning,)+ }
            }

            /// What to do about it.
            #[must_use]
            pub const fn remedy(self) -> &'static str {
                match self { $(Self::$variant => $remedy,)+ }
            }
        }
    };
}

codes! {
    JsonUnreadable, "json_unreadable", 400,
        "The body is not JSON, is empty, or is nested deeper than 127 levels.",
        "Fix the JSON at the line and column that the error names.";
    RequestInvalid, "request_invalid", 400,
        "A header, a query parameter or an option of the request is unknown, given twice, or has a wrong value.",
        "Fix what the error names.";
    Unauthorized, "unauthorized", 401,
        "There is no token, or the service does not know it, or it has expired.",
        "Send `Authorization: Bearer TOKEN`.";
    Forbidden, "forbidden", 403,
        "The token's role is not enough, or a web page of another site sent the request.",
        "Use a token with the role that the error names; allow the site with `--cors-origin`.";
    NotFound, "not_found", 404,
        "There is no such path, execution or VM.",
        "Look up the path in `/docs` and the id in `GET /api/executions`.";
    MethodNotAllowed, "method_not_allowed", 405,
        "The path does not take this method.",
        "Use one of the methods in the `Allow` header.";
    RequestTimeout, "request_timeout", 408,
        "The body did not arrive in time.",
        "Send it faster, or raise `--request-timeout-s`.";
    TopologyMissing, "topology_missing", 409,
        "No topology has been put yet.",
        "Put one to `/api/topology` first.";
    ExecutionRunning, "execution_running", 409,
        "An execution is running; its id is in `details`.",
        "Wait for it, or cancel it.";
    ExecutionEnded, "execution_ended", 409,
        "The execution has already ended.",
        "Nothing needs to be done.";
    TooLate, "too_late", 409,
        "The intent has begun, or is over: it can't be taken back any more.",
        "Cancel its execution, or send the opposite intent.";
    InUse, "in_use", 409,
        "The topology would drop or change what containers still use, or an app has the name of another one.",
        "Execute a plan without them first; give the app another name.";
    Conflict, "conflict", 409,
        "The topology or the allocation changed while the request was being worked on.",
        "Send the request again.";
    PlanMoved, "plan_moved", 409,
        "Something that the sealed plan was based on has changed since; `details` has the old and the new values.",
        "Translate the plan again and look at what it does now.";
    PlanUnknown, "plan_unknown", 409,
        "There is no sealed plan with that id: it was never shown here, or newer ones have replaced it.",
        "Translate the plan again and execute the new `plan_id`.";
    NameTaken, "name_taken", 409,
        "A container that this mapek did not make has the name; the error says whose it is.",
        "Rename or remove it, or rename the tier; if it belongs to a lost data directory, run `mapek adopt` with its owner.";
    PortTaken, "port_taken", 409,
        "A container that this mapek did not make publishes the port.",
        "Stop it, or publish another port.";
    ForeignUnlimited, "foreign_unlimited", 409,
        "A container that this mapek did not make has no limits, and `foreign` is `refuse` in the topology.",
        "Give it limits with `docker update`, stop it, or say `\"foreign\": \"warn\"`.";
    EngineShared, "engine_shared", 409,
        "Two VMs' names lead to one engine.",
        "Keep one of the names, or fix the endpoints in the topology.";
    EngineChanged, "engine_changed", 409,
        "Another engine answers at the endpoint of the one that has the VM's containers.",
        "Fix the endpoint; if the old engine is gone for good, give the VM up and send the plan again.";
    EpochStale, "epoch_stale", 409,
        "A later start of the node's agent has registered; its epoch is in `details`.",
        "Stop the older agent; a new start of one takes a larger epoch.";
    NodesNotTaken, "nodes_not_taken", 409,
        "The topology's machines do not register themselves, or as many have as may.",
        "Put a topology with `\"cloud_driver\": {\"nodes\": {}}`.";
    MemoryInUse, "memory_in_use", 409,
        "A container uses more memory than a smaller limit would leave it.",
        "Leave its tier the memory that the error names, or let the container free some first.";
    Cancelled, "cancelled", 409,
        "Somebody cancelled the execution; what was done is kept.",
        "Execute a plan to go on.";
    PreconditionFailed, "precondition_failed", 412,
        "The topology is not the one that `If-Match` names.",
        "Get the topology again and apply your changes to it.";
    BodyTooLarge, "body_too_large", 413,
        "The body is larger than the service accepts.",
        "Send less, or raise `--max-body-bytes`.";
    PlanTooLarge, "plan_too_large", 413,
        "The plan needs more VMs, or asks more of nodes, than can be planned for at once.",
        "Ask for less, use larger VMs, or let tiers share simpler expressions.";
    HostUnknown, "host_unknown", 421,
        "The `Host` header does not name this service.",
        "Use the address that the service listens on, or name the host with `--allowed-hosts`.";
    TopologyInvalid, "topology_invalid", 422,
        "The topology is not valid.",
        "Fix every place that `details` names; nothing was changed.";
    AppInvalid, "app_invalid", 422,
        "The app is not valid, or not together with the topology.",
        "Fix every place that `details` names; nothing was changed.";
    PlanInvalid, "plan_invalid", 422,
        "The plan is not valid for the topology.",
        "Fix every place that `details` names; nothing was changed.";
    NodeInvalid, "node_invalid", 422,
        "What a node says of itself is not valid.",
        "Fix every place that `details` names; nothing was changed.";
    AllocationInvalid, "allocation_invalid", 422,
        "The allocation given to solve is not valid.",
        "Fix every place that `details` names.";
    Infeasible, "infeasible", 422,
        "No placement can satisfy the plan; `details` has every reason that can be named, and the smallest change that would help.",
        "Change the plan or the topology accordingly.";
    ShapeTooLarge, "shape_too_large", 422,
        "The machine has less than the topology says.",
        "Lower `cpu_cores` or `mem_units` of the infrastructure.";
    HookMissing, "hook_missing", 422,
        "A hook that the topology names is not in the repository.",
        "Add the file, or correct its name or `hooks_ref`.";
    HooksUntrusted, "hooks_untrusted", 422,
        "The commit of the hooks is not signed by any of `hooks_signers`.",
        "Sign the commit, let `hooks_ref` name one that is signed, or add the signer's key.";
    SecretUnavailable, "secret_unavailable", 422,
        "A secret that the topology refers to with `from_file` or `from_env` can't be read.",
        "Create the file or variable on the service's machine, or correct the reference.";
    KeyReused, "idempotency_key_reused", 422,
        "The `Idempotency-Key` was used for another request before.",
        "Use a new key for a new request.";
    CloudMisconfigured, "cloud_misconfigured", 422,
        "The topology's cloud driver, or an engine's endpoint, can't be used as it is configured.",
        "Correct what the error names in the topology.";
    RateLimited, "rate_limited", 429,
        "This client asks for more placements and executions than one client may.",
        "Ask again after `Retry-After` seconds, or raise `--rate-limit`.";
    Internal, "internal", 500,
        "A bug in mapek.",
        "Report it with the log lines of the request's id.";
    UnsafePlan, "unsafe_plan", 500,
        "A bug in mapek: the actions that it worked out would break a rule, so none of them was begun.",
        "Report it with the line of the log that says which rule, and all that is needed to reproduce it.";
    HooksUnavailable, "hooks_unavailable", 502,
        "The hooks repository can't be fetched.",
        "Check its address, and that the service may read it.";
    HookFailed, "hook_failed", 502,
        "A hook exited with a code other than 0, or could not be started; its output is in `details`.",
        "Fix the hook, and execute again.";
    ImageUnavailable, "image_unavailable", 502,
        "The image is not on the machine and can't be pulled.",
        "Check its name, and that the engine reaches its registry.";
    EngineUnreachable, "engine_unreachable", 502,
        "An engine can't be reached, or its answers are not those of a Docker engine.",
        "Check that it runs, and its endpoint in the topology.";
    EngineRefused, "engine_refused", 502,
        "An engine refused what was asked.",
        "Fix what the engine's message, quoted in the error, complains about.";
    ContainerUnhealthy, "container_unhealthy", 502,
        "A container did not stay up, or did not become healthy.",
        "Read its log with `mapek logs` or `docker logs`; the container is kept for that.";
    LimitsMismatch, "limits_mismatch", 502,
        "An engine reports limits other than those asked for.",
        "Check that its kernel and version support them.";
    CloudUnreachable, "cloud_unreachable", 502,
        "The cloud can't be reached.",
        "Check the network and `endpoint_url`.";
    CloudRefused, "cloud_refused", 502,
        "The cloud refused what was asked.",
        "Fix what the cloud's message, quoted in the error, complains about.";
    CloudCapacity, "cloud_capacity", 502,
        "The cloud has no more VMs at the moment.",
        "Try later, ask for less, or let the group use other types of VMs.";
    Overloaded, "overloaded", 503,
        "The service has more requests than it can handle.",
        "Ask again after `Retry-After` seconds.";
    Stopping, "stopping", 503,
        "The service is stopping.",
        "Ask again when it has started.";
    JournalUnavailable, "journal_unavailable", 503,
        "The journal can't be written or read, so nothing is started.",
        "Free space on the disk of the data directory, and check that it is writable.";
    Undecided, "undecided", 504,
        "No placement was found before the deadline, and none was proven impossible.",
        "Ask again with a longer `deadline_ms`, or raise `--solve-deadline-ms`.";
    HookTimeout, "hook_timeout", 504,
        "A hook did not end in time.",
        "Fix the hook, or raise `--hook-deadline-s`.";
    EngineTimeout, "engine_timeout", 504,
        "An engine did not answer in time.",
        "Find out what keeps it busy, or raise `--engine-timeout-s`.";
    CloudTimeout, "cloud_timeout", 504,
        "The cloud did not answer, or did not start a VM, in time.",
        "Ask again, or raise `ready_timeout_s` if VMs start slowly.";
}

impl Code {
    /// The code of that name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.as_str() == name)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_name_of_its_own_and_is_read_back_from_it() {
        for code in Code::ALL {
            assert_eq!(Code::parse(code.as_str()), Some(code));
            assert!((400..600).contains(&code.status()), "{code}");
        }
        assert_eq!(Code::parse("no_such_code"), None);
    }
}
