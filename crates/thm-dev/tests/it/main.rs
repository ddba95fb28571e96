//! The services on their own: each starts on a free port, works, survives a restart with its data, leaves no process.

mod services;
