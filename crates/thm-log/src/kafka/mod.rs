//! Kafka protocol listener.
