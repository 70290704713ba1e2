//! The Execute stage of a MAPE-K loop.
//!
//! ```text
//! topology ─┐
//! plan ─────┼─> solve ──> translate ──> execute ──> allocation
//! what is ──┘  placement   stages        effects    what is, confirmed
//! ```
//!
//! How a `PUT /api/execute` travels, from the request to an engine:
//!
//! | | function | does |
//! |--:|---|---|
//! | 1 | `api::execute::put` | reads the request, and answers it at the end |
//! | 2 | [`service::Service::begin`] (`service::admission`) | at most one execution for each `Idempotency-Key`; checks before anything is done |
//! | 3 | `Service::propose` (`service::planner`) | looks at what runs, places the plan ([`solve`]), finds the way there ([`translate`]) |
//! | 4 | `Supervisor::begin` (`service::supervisor`) | asks `supervisor::phase` whether it may begin, records it, starts its runner |
//! | 5 | `Service::carry_out` (`supervisor::runner`) | goes on until the end is recorded; an execution that was cut off enters here |
//! | 6 | `execute::run` | the stages, a second set after a replan, the rollback, the end |
//! | 7 | `Run::stages` (`execute::stages`) | one stage after the other, each action recorded before and after |
//! | 8 | `execute::perform` | one action, as a call to an [`engine`], a [`cloud`] or [`hooks`] |
//!
//! Dependencies point one way: `main → startup → api, cli → service → execute → {translate,
//! solve, model}`; drivers (`cloud`, `engine`, `hooks`, `journal`) know only the pure rooms. A
//! test checks this from the `use` lines.
//!
//! | module | purpose | pure |
//! |---|---|---|
//! | [`require`] | expressions over a node: where a tier may be, and would rather be | yes |
//! | [`model`] | topology, plan, allocation and node, as types that are always valid | yes |
//! | [`nodes`] | what each node last said, and its standing | yes |
//! | [`solve`] | the cheapest placement, with a proof; the solver is the crate `mapek-solve` | yes |
//! | [`translate`] | from one allocation to another, as stages of actions | yes |
//! | [`fault`] | what a person is told when something can't be done | yes |
//! | [`execute`] | the record of an execution, and its effects | state: yes |
//! | [`journal`] | the durable record | |
//! | [`cloud`] | where VMs come from | |
//! | [`engine`] | what runs containers | |
//! | [`hooks`] | scripts run inside containers | |
//! | [`service`] | the one owner of the current state | |
//! | [`agent`] | a machine that registers itself | `parse`, `course`: yes |
//! | [`api`] | REST | |
//! | [`cli`] | commands besides the service | |
//! | [`meter`] | what several rooms measure: calls and requests | |
//! | [`outside`] | time of day, ids, chance, threads | |
//! | [`pem`] | certificates and keys in files | |
//! | [`auth`] | who may do what | yes |
//! | [`listen`] | connections, TLS | |
//! | [`config`], [`telemetry`], [`startup`] | options, logs and traces, and putting it all together | |

pub mod agent;
pub mod api;
pub mod auth;
pub mod cli;
pub mod cloud;
pub mod config;
pub mod engine;
pub mod execute;
pub mod fault;
pub mod hooks;
pub mod journal;
pub mod listen;
pub mod meter;
pub mod model;
pub mod nodes;
pub mod outside;
pub mod pem;
pub mod require;
pub mod service;
pub mod solve;
pub mod startup;
pub mod telemetry;
pub mod translate;
