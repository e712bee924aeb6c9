//! Touchdown puts a container image into production from a GitHub workflow and proves that it serves;
//! otherwise everything it changed is put back, and that is proved too.
//!
//! # The house, floor by floor
//!
//! A room imports only from floors below; `tests/it/floors/` holds the list.
//!
//! | floor | room | holds |
//! |---|---|---|
//! | 7 | `main`, this file | name called by → mode, signals, exit status |
//! | 6 | [`mode`] | deploy, plan, verify, rollback, history, rehearse, post: each reads top to bottom |
//! | 5 | [`report`] | the fold of the journal and its renderings: summary, outputs, annotation, JSON |
//! | 4 | [`engine`] | records, pure decisions per service and group, the journal, the one loop |
//! | 4 | [`config`] | settings as written (inputs, YAML) → a valid plan |
//! | 3 | [`target`] | the trait and one file or folder per platform |
//! | 3 | [`health`] | probe, samples, verdict |
//! | 3 | [`image`] | references and tags, sources (daemon, archive, layout), the registry client, the push that pins an image by its digest |
//! | 2 | [`cloud`] | OIDC token in, short-lived session out |
//! | 1 | [`runner`] | the only door to environment, standard output and the runner's files |
//! | 1 | [`http`] | the only door to the network |
//! | 0 | [`values`], [`failure`], [`clock`] | words of the domain, the one error, time |
//! | – | [`simulator`] | the clouds on loopback; imports floor 0 only |

pub mod clock;
pub mod cloud;
pub mod config;
pub mod engine;
pub mod failure;
pub mod health;
pub mod http;
pub mod image;
pub mod mode;
pub mod report;
pub mod runner;
pub mod simulator;
pub mod target;
pub mod values;
