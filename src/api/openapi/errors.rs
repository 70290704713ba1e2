//! Which operation can be answered with which errors.

use crate::fault::Code;

/// The errors that an operation can be answered with, besides those of every operation.
pub fn errors(operation: &str) -> Vec<Code> {
    use Code::*;
    const WORLD: &[Code] = &[
        CloudMisconfigured,
        CloudUnreachable,
        CloudTimeout,
        CloudRefused,
        CloudCapacity,
    ];
    // What looking at the engines can end with.
    const ENGINES: &[Code] = &[
        ShapeTooLarge,
        EngineShared,
        EngineChanged,
        ForeignUnlimited,
        EngineUnreachable,
        EngineTimeout,
    ];
    const PLAN: &[Code] = &[
        JsonUnreadable,
        BodyTooLarge,
        RequestTimeout,
        TopologyMissing,
        PlanInvalid,
        Infeasible,
        PlanTooLarge,
        Undecided,
        Overloaded,
    ];
    let codes: &[&[Code]] = match operation {
        "get_topology" => &[&[NotFound, JournalUnavailable]],
        "put_topology" => &[&[
            Conflict,
            NotFound,
            JsonUnreadable,
            BodyTooLarge,
            RequestTimeout,
            TopologyInvalid,
            ShapeTooLarge,
            EngineShared,
            EngineChanged,
            InUse,
            ExecutionRunning,
            PreconditionFailed,
            Overloaded,
            JournalUnavailable,
        ]],
        "inspect" | "usage" => &[WORLD],
        "intend" => &[
            &[
                JsonUnreadable,
                BodyTooLarge,
                RequestTimeout,
                RequestInvalid,
                NotFound,
                TopologyMissing,
                Overloaded,
                JournalUnavailable,
            ],
            WORLD,
        ],
        "list_intents" => &[&[RequestInvalid, JournalUnavailable]],
        "get_intent" => &[&[NotFound, JournalUnavailable]],
        "cancel_intent" => &[&[
            JsonUnreadable,
            BodyTooLarge,
            RequestTimeout,
            RequestInvalid,
            NotFound,
            TooLate,
            Overloaded,
            JournalUnavailable,
        ]],
        "candidates" => &[
            &[
                JsonUnreadable,
                BodyTooLarge,
                RequestTimeout,
                RequestInvalid,
                NotFound,
                TopologyMissing,
                Overloaded,
            ],
            WORLD,
        ],
        "list_nodes" => &[&[RequestInvalid], WORLD],
        "get_node" => &[&[NotFound], WORLD],
        "get_log" => &[
            &[
                RequestInvalid,
                NotFound,
                TopologyMissing,
                Overloaded,
                EngineChanged,
                EngineUnreachable,
                EngineTimeout,
                EngineRefused,
            ],
            WORLD,
        ],
        "adopt" => &[
            &[
                JsonUnreadable,
                BodyTooLarge,
                RequestTimeout,
                RequestInvalid,
                NotFound,
                Conflict,
                ExecutionRunning,
                TopologyMissing,
                Overloaded,
                JournalUnavailable,
            ],
            WORLD,
        ],
        "give_up_vm" => &[
            &[
                NotFound,
                Conflict,
                ExecutionRunning,
                TopologyMissing,
                JournalUnavailable,
            ],
            WORLD,
        ],
        "translate" => &[PLAN, ENGINES, WORLD],
        "execute" => &[
            PLAN,
            ENGINES,
            WORLD,
            &[
                RequestInvalid,
                ExecutionRunning,
                KeyReused,
                Conflict,
                PlanMoved,
                PlanUnknown,
                NameTaken,
                PortTaken,
                MemoryInUse,
                Cancelled,
                HookMissing,
                HooksUntrusted,
                HooksUnavailable,
                HookFailed,
                HookTimeout,
                ImageUnavailable,
                SecretUnavailable,
                EngineRefused,
                ContainerUnhealthy,
                LimitsMismatch,
                JournalUnavailable,
            ],
        ],
        "solve" => &[&[
            JsonUnreadable,
            BodyTooLarge,
            RequestTimeout,
            RequestInvalid,
            TopologyInvalid,
            AllocationInvalid,
            PlanInvalid,
            Infeasible,
            PlanTooLarge,
            Undecided,
            Overloaded,
        ]],
        "list_executions" => &[&[RequestInvalid, JournalUnavailable]],
        "get_execution" => &[&[NotFound, JournalUnavailable]],
        "cancel_execution" | "resume_execution" | "rollback_execution" => {
            &[&[NotFound, ExecutionEnded, ExecutionRunning, JournalUnavailable]]
        }
        "get_schema" => &[&[NotFound]],
        "events" => &[&[RequestInvalid, Overloaded, JournalUnavailable]],
        _ => &[],
    };
    codes.concat()
}
