//! `/`, `/health` and `/connectors`: everything but offsets.

use axum::http::{Method, header};
use serde_json::{Map, Value, json};

use super::reply::Reply;
use super::{Call, body, route};
use crate::herder::{ConnectorInfo, Herder, Refusal, Restart};
use crate::options::VERSION;

type Answer = Result<Reply, Refusal>;

/// The worker itself.
pub(super) fn root(herder: &Herder) -> Reply {
    let options = herder.options();
    let facts = json!({"version": VERSION, "commit": options.commit, "kafka_cluster_id": options.kafka_cluster_id});
    Reply::json(200, &facts)
}

pub(super) fn health() -> Reply {
    let message = "Worker has completed startup and is ready to handle requests.";
    Reply::json(200, &json!({"status": "healthy", "message": message}))
}

/// Names, or with `expand` more of each.
pub(super) fn list(herder: &Herder, call: &Call) -> Answer {
    let names = herder.names();
    if call.value("expand").is_none() {
        return Ok(Reply::json(200, &names));
    }
    let mut all = Map::new();
    for name in names {
        let mut one = Map::new();
        // A connector that is deleted meanwhile is left out.
        if call.has("expand", "status")
            && let Ok(status) = herder.status(&name)
        {
            one.insert("status".to_owned(), value(&status));
        }
        if call.has("expand", "info")
            && let Ok(info) = herder.info(&name)
        {
            one.insert("info".to_owned(), value(&info));
        }
        if !one.is_empty() {
            all.insert(name, Value::Object(one));
        }
    }
    Ok(Reply::json(200, &all))
}

fn value(of: &impl serde::Serialize) -> Value {
    serde_json::to_value(of).unwrap_or_default()
}

pub(super) async fn create(herder: &Herder, call: &Call) -> Answer {
    let request = body::create_request(&call.body)?;
    let info = herder.create(&request.name, request.config, request.state).await?;
    Ok(created(call, &info))
}

fn created(call: &Call, info: &ConnectorInfo) -> Reply {
    let location = format!("{}/connectors/{}", call.base, route::encode(&info.name));
    Reply::json(201, info).with(header::LOCATION, location)
}

pub(super) async fn delete(herder: &Herder, name: &str) -> Answer {
    herder.delete(name).await.map(|()| Reply::empty(204))
}

pub(super) async fn config(herder: &Herder, name: &str, call: &Call) -> Answer {
    if call.method == Method::GET {
        return herder.info(name).map(|info| Reply::json(200, &info.config));
    }
    let given = body::config(&call.body)?;
    if call.method == Method::PATCH {
        return herder.patch_config(name, given).await.map(|info| Reply::json(200, &info));
    }
    let (is_new, info) = herder.put_config(name, given).await?;
    Ok(if is_new { created(call, &info) } else { Reply::json(200, &info) })
}

pub(super) async fn restart(herder: &Herder, name: &str, call: &Call) -> Answer {
    let what = Restart { include_tasks: call.has("includeTasks", "true"), only_failed: call.has("onlyFailed", "true") };
    Ok(match herder.restart(name, what).await? {
        Some(status) => Reply::json(202, &status),
        None => Reply::empty(204),
    })
}

/// Each task with its configuration.
pub(super) fn tasks(herder: &Herder, name: &str) -> Answer {
    let info = herder.info(name)?;
    let class = info.config.get("connector.class").cloned().flatten().unwrap_or_default();
    let class = herder.class(&class).map_or(class, |connector| connector.class().to_owned());
    let mut config = info.config;
    let task_class = format!("{}Task", class.strip_suffix("Connector").unwrap_or(&class));
    config.insert("task.class".to_owned(), Some(task_class));
    let tasks: Vec<Value> = info.tasks.iter().map(|task| json!({"id": task, "config": config})).collect();
    Ok(Reply::json(200, &tasks))
}

pub(super) fn task_status(herder: &Herder, name: &str, task: u32) -> Answer {
    let missing = || Refusal::new(404, format!("No status found for task {name}-{task}"));
    let status = herder.status(name).map_err(|_| missing())?;
    let found = status.tasks.iter().find(|status| status.id == Some(task)).ok_or_else(missing)?;
    Ok(Reply::json(200, found))
}

pub(super) fn topics(herder: &Herder, name: &str) -> Reply {
    Reply::json(200, &json!({name: {"topics": herder.topics(name)}}))
}

/// What Connect's workers ask of each other.
pub(super) fn internal() -> Reply {
    Reply::error(400, "Internal request missing required signature")
}
