//! Requests to answers: decoding, the choice of the handler, encoding.
//!
//! A handler is a function from a request structure and its version to an answer structure. It sets only fields
//! that the version has (the crate refuses to encode others); `tests/versions.rs` goes through all of them.

mod cluster;
mod configs;
mod fetch;
mod group_admin;
mod group_offsets;
mod groups;
mod list_offsets;
mod metadata;
mod produce;
mod topics;

use std::io;
use std::sync::Arc;

use bytes::{BufMut, BytesMut};
use futures::FutureExt;
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::api_versions_response::ApiVersion;
use kafka_protocol::messages::{ApiKey, ApiVersionsResponse, ResponseHeader};
use kafka_protocol::protocol::{Decodable, Encodable};
use thm_api::Permit;

use super::exchange::{Answer, Answering, Peer, Request, invalid};
use super::versions::{Api, OFFERED};

/// The number clients know our only broker by.
const BROKER_ID: i32 = 1;

/// "Unknown": we have no leader elections.
const NO_LEADER_EPOCH: i32 = -1;

/// Takes a request. What comes back is its answer; all but produce happens when that is awaited.
pub(super) async fn begin(peer: Arc<Peer>, request: Request) -> io::Result<Answering> {
    if OFFERED[request.api].key == ApiKey::Produce {
        let reply = Reply::to(&request);
        let acks = decode::<kafka_protocol::messages::ProduceRequest>(&request)?;
        let silent = acks.acks == 0;
        let produced = produce::begin(&peer, acks).await;
        return Ok(async move {
            let response = produced.await;
            if silent { Ok(Answer { frame: None, held: None }) } else { reply.with(&response, None) }
        }
        .boxed());
    }
    Ok(async move { answer(&peer, &request).await }.boxed())
}

async fn answer(peer: &Peer, request: &Request) -> io::Result<Answer> {
    let reply = Reply::to(request);
    let version = request.version;
    match OFFERED[request.api].key {
        ApiKey::Fetch => {
            let (response, held) = fetch::answer(peer, decode(request)?).await;
            reply.with(&response, held)
        }
        ApiKey::ListOffsets => reply.with(&list_offsets::answer(peer, decode(request)?).await, None),
        ApiKey::Metadata => reply.with(&metadata::answer(peer, version, decode(request)?).await, None),
        ApiKey::FindCoordinator => reply.with(&cluster::find_coordinator(peer, version, decode(request)?), None),
        ApiKey::DescribeCluster => reply.with(&cluster::describe(peer), None),
        ApiKey::InitProducerId => reply.with(&produce::init_producer(peer, &decode(request)?), None),
        ApiKey::JoinGroup => reply.with(&groups::join(peer, request, decode(request)?).await, None),
        ApiKey::SyncGroup => reply.with(&groups::sync(peer, version, decode(request)?).await, None),
        ApiKey::Heartbeat => reply.with(&groups::heartbeat(peer, &decode(request)?), None),
        ApiKey::LeaveGroup => reply.with(&groups::leave(peer, version, decode(request)?), None),
        ApiKey::OffsetCommit => reply.with(&group_offsets::commit(peer, decode(request)?).await, None),
        ApiKey::OffsetFetch => reply.with(&group_offsets::fetch(peer, version, decode(request)?), None),
        ApiKey::OffsetDelete => reply.with(&group_offsets::delete(peer, decode(request)?).await, None),
        ApiKey::DescribeGroups => reply.with(&group_admin::describe(peer, decode(request)?), None),
        ApiKey::ListGroups => reply.with(&group_admin::list(peer, version, &decode(request)?), None),
        ApiKey::DeleteGroups => reply.with(&group_admin::delete(peer, decode(request)?).await, None),
        ApiKey::CreateTopics => reply.with(&topics::create(peer, version, decode(request)?).await, None),
        ApiKey::DeleteTopics => reply.with(&topics::delete(peer, version, decode(request)?).await, None),
        ApiKey::DescribeConfigs => reply.with(&configs::describe(peer, version, decode(request)?), None),
        ApiKey::ApiVersions => reply.with(&offered(), None),
        other => Err(invalid(format!("{other:?} is offered but has no handler"))),
    }
}

fn offered() -> ApiVersionsResponse {
    ApiVersionsResponse::default().with_api_keys(OFFERED.iter().map(api_version).collect())
}

fn api_version(api: &Api) -> ApiVersion {
    ApiVersion::default().with_api_key(api.key as i16).with_min_version(api.min).with_max_version(api.max)
}

/// Tells a newer client, in version 0, which versions of ApiVersions it may ask with.
pub(super) fn refuse_api_versions(correlation_id: i32) -> Answering {
    let ours = OFFERED.iter().filter(|api| api.key == ApiKey::ApiVersions).map(api_version).collect();
    let response =
        ApiVersionsResponse::default().with_error_code(ResponseError::UnsupportedVersion.code()).with_api_keys(ours);
    let reply = Reply { key: ApiKey::ApiVersions, version: 0, correlation_id };
    async move { reply.with(&response, None) }.boxed()
}

fn decode<R: Decodable>(request: &Request) -> io::Result<R> {
    let name = OFFERED[request.api].name;
    R::decode(&mut request.body.clone(), request.version)
        .map_err(|error| invalid(format!("{name} that cannot be read: {error}")))
}

/// Where an answer goes.
struct Reply {
    key: ApiKey,
    version: i16,
    correlation_id: i32,
}

impl Reply {
    fn to(request: &Request) -> Self {
        let Request { api, version, correlation_id, .. } = *request;
        Self { key: OFFERED[api].key, version, correlation_id }
    }

    /// The frame of an answer.
    fn with(&self, response: &impl Encodable, held: Option<Permit>) -> io::Result<Answer> {
        let failed = |error| io::Error::other(format!("{:?} version {}: {error}", self.key, self.version));
        let header = ResponseHeader::default().with_correlation_id(self.correlation_id);
        let header_version = self.key.response_header_version(self.version);
        let size = response.compute_size(self.version).map_err(failed)?;
        let mut frame = BytesMut::with_capacity(size + 16);
        frame.put_i32(0);
        header.encode(&mut frame, header_version).map_err(failed)?;
        response.encode(&mut frame, self.version).map_err(failed)?;
        let length = i32::try_from(frame.len() - 4).map_err(|_| invalid("an answer beyond 2 GiB".to_owned()))?;
        frame[..4].copy_from_slice(&length.to_be_bytes());
        Ok(Answer { frame: Some(frame.freeze()), held })
    }
}
