//! Kafka Connect's REST API over the herder.
//!
//! A request goes in, Connect's answer comes out: the same paths, statuses, bodies and error texts as Connect 4.2, so
//! that its clients, scripts and dashboards work. One handler asks the route table which resource a path names and
//! which methods it has; what is not there is 404 or 405 as Connect says it.
//!
//! ```text
//!   request ─▶ path ─▶ resource ─▶ method ─▶ media types ─▶ body ─▶ herder ─▶ reply
//!               400      404         405       406, 415      500
//! ```

mod body;
mod connectors;
mod loggers;
mod offsets;
mod plugins;
mod reply;
mod route;

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, header};
use axum::response::Response;

use crate::herder::Herder;
use loggers::Loggers;
use reply::Reply;
use route::{PathProblem, Resource};

/// Most bytes of a request's body; configurations have a few kilobytes.
const MAX_BODY_BYTES: usize = 1 << 20;

/// What the handlers share.
#[derive(Clone)]
struct Api {
    herder: Arc<Herder>,
    loggers: Arc<Loggers>,
}

/// One request, taken apart.
struct Call {
    method: Method,
    query: Vec<(String, String)>,
    /// Address of this API as the client sees it.
    base: String,
    body: Vec<u8>,
}

impl Call {
    fn has(&self, name: &str, value: &str) -> bool {
        self.query.iter().any(|(given, text)| given == name && text.eq_ignore_ascii_case(value))
    }

    fn value(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(given, _)| given == name).map(|(_, text)| text.as_str())
    }
}

/// The API, to be served at the root of port 8083.
pub fn router(herder: Arc<Herder>) -> Router {
    let api = Api { herder, loggers: Arc::new(Loggers::default()) };
    Router::new().fallback(handle).with_state(api)
}

async fn handle(State(api): State<Api>, request: Request) -> Response {
    answer(&api, request).await.into_response()
}

async fn answer(api: &Api, request: Request) -> Reply {
    let (parts, body) = request.into_parts();
    let segments = match route::segments(parts.uri.path()) {
        Ok(segments) => segments,
        Err(PathProblem(problem)) => return Reply::bad_uri(problem, parts.method == Method::GET),
    };
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    let Some(resource) = Resource::of(&segments) else { return Reply::bare(404, "Not Found") };
    let allowed = resource.methods();
    if parts.method == Method::OPTIONS {
        return Reply::options(allowed);
    }
    // HEAD is GET; the server leaves the body away.
    let method = if parts.method == Method::HEAD { Method::GET } else { parts.method.clone() };
    if !allowed.contains(&method.as_str()) {
        return Reply::bare(405, "Method Not Allowed");
    }
    if !accepts_json(&parts.headers) {
        return Reply::bare(406, "Not Acceptable");
    }
    let body = match read_body(&resource, &method, &parts.headers, body).await {
        Ok(body) => body,
        Err(refused) => return refused,
    };
    let host = parts.headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let base = format!("http://{}", host.unwrap_or(&api.herder.options().worker_id));
    let call = Call { method, query: route::query(parts.uri.query().unwrap_or_default()), base, body };
    dispatch(api, &resource, &call).await
}

async fn dispatch(api: &Api, resource: &Resource<'_>, call: &Call) -> Reply {
    let herder = &*api.herder;
    let done = match resource {
        Resource::Root => Ok(connectors::root(herder)),
        Resource::Health => Ok(connectors::health()),
        Resource::Connectors if call.method == Method::POST => connectors::create(herder, call).await,
        Resource::Connectors => connectors::list(herder, call),
        Resource::Connector(name) if call.method == Method::DELETE => connectors::delete(herder, name).await,
        Resource::Connector(name) => herder.info(name).map(|info| Reply::json(200, &info)),
        Resource::Config(name) => connectors::config(herder, name, call).await,
        Resource::Status(name) => herder.status(name).map(|status| Reply::json(200, &status)),
        Resource::Restart(name) => connectors::restart(herder, name, call).await,
        Resource::Pause(name) => herder.pause(name).await.map(|()| Reply::empty(202)),
        Resource::Resume(name) => herder.resume(name).await.map(|()| Reply::empty(202)),
        Resource::Stop(name) => herder.stop_connector(name).await.map(|()| Reply::empty(204)),
        Resource::Tasks(_) | Resource::Fence(_) if call.method != Method::GET => Ok(connectors::internal()),
        Resource::Tasks(name) | Resource::Fence(name) => connectors::tasks(herder, name),
        Resource::TaskStatus(name, task) => connectors::task_status(herder, name, *task),
        Resource::TaskRestart(name, task) => herder.restart_task(name, *task).await.map(|()| Reply::empty(204)),
        Resource::Topics(name) => Ok(connectors::topics(herder, name)),
        Resource::TopicsReset(name) => {
            herder.reset_topics(name);
            Ok(Reply::empty(202))
        }
        Resource::Offsets(name) => offsets::handle(herder, name, call).await,
        Resource::Plugins => Ok(plugins::list(herder)),
        Resource::PluginConfig(class) => plugins::config(herder, class, call),
        Resource::Validate(class) => plugins::validate(herder, class, call).await,
        Resource::Loggers => Ok(api.loggers.list()),
        Resource::Logger(name) if call.method == Method::PUT => api.loggers.set(name, call),
        Resource::Logger(name) => api.loggers.get(name),
    };
    done.unwrap_or_else(|refusal| Reply::refusal(&refusal))
}

fn accepts_json(headers: &HeaderMap) -> bool {
    let Some(accept) = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()) else { return true };
    let kinds = accept.split(',').map(|kind| kind.split(';').next().unwrap_or_default().trim());
    kinds.into_iter().any(|kind| matches!(kind, "" | "*/*" | "application/*" | "application/json"))
}

/// The body of a request that has one, if its media type is JSON.
async fn read_body(
    resource: &Resource<'_>,
    method: &Method,
    headers: &HeaderMap,
    body: Body,
) -> Result<Vec<u8>, Reply> {
    if !resource.takes_body(method) {
        return Ok(Vec::new());
    }
    let given = headers.get(header::CONTENT_TYPE).and_then(|given| given.to_str().ok());
    let is_json = given.map(|given| given.split(';').next().unwrap_or_default().trim() == "application/json");
    if is_json == Some(false) {
        return Err(Reply::bare(415, "Unsupported Media Type"));
    }
    let bytes = to_bytes(body, MAX_BODY_BYTES).await.map_err(|_| Reply::error(413, "HTTP 413 Payload Too Large"))?;
    if is_json.is_none() && !bytes.is_empty() {
        return Err(Reply::error(415, "HTTP 415 Unsupported Media Type"));
    }
    Ok(bytes.to_vec())
}
