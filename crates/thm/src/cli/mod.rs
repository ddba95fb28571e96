//! The command line: one file or folder per subcommand.

pub mod connector;
pub mod dlq;
pub mod health;
pub mod job;
pub mod output;
pub mod run;
pub mod smoke;
pub mod sql;
mod sql_shell;
mod sql_table;
pub mod topic;
