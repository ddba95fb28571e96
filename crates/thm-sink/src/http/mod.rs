//! HTTP.
/// x
#[derive(Debug)]
pub struct HttpConnector;
