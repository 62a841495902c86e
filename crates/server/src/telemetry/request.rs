//! The id of the request that is being served, on every line that is logged meanwhile. It travels with the task and not
//! as a span: a span costs each request more than the rest of the door, though few requests log anything.

use http::HeaderValue;
use std::fmt;
use std::future::Future;
use tokio::task::futures::TaskLocalFuture;
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

tokio::task_local! {
    static REQUEST: HeaderValue;
}

/// Serves a request: what `work` logs carries `id`.
pub fn serving<F: Future>(id: HeaderValue, work: F) -> TaskLocalFuture<HeaderValue, F> {
    REQUEST.scope(id, work)
}

/// The same for what needs no waiting.
pub fn served<T>(id: HeaderValue, work: impl FnOnce() -> T) -> T {
    REQUEST.sync_scope(id, work)
}

/// Hands the id to `write`, where a request is being served.
fn with_id(write: impl FnOnce(&str) -> fmt::Result) -> Option<fmt::Result> {
    REQUEST.try_with(|id| id.to_str().map_or(Ok(()), write)).ok()
}

/// The time of a line of text, and the request's id after it.
pub(super) struct TimeAndRequest;

impl FormatTime for TimeAndRequest {
    fn format_time(&self, writer: &mut Writer<'_>) -> fmt::Result {
        SystemTime.format_time(writer)?;
        with_id(|id| write!(writer, " {id}")).unwrap_or(Ok(()))
    }
}

/// A line of JSON, with the request's id as its first field.
pub(super) struct JsonAndRequest<F>(pub F);

impl<S, N, F> FormatEvent<S, N> for JsonAndRequest<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut line = String::new();
        self.0.format_event(context, Writer::new(&mut line), event)?;
        match line.strip_prefix('{') {
            // An id has no character that JSON would escape: the door takes no other.
            Some(rest) => with_id(|id| write!(writer, "{{\"requestId\":\"{id}\",{rest}"))
                .unwrap_or_else(|| writer.write_str(&line)),
            None => writer.write_str(&line),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use parking_lot::Mutex;
    use std::io;
    use std::sync::Arc;

    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Page {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn a_line_carries_the_request_that_it_is_about() {
        let page = Page::default();
        let json = tracing_subscriber::fmt::format().json().flatten_event(true);
        let writer = page.clone();
        let logs =
            tracing_subscriber::fmt().json().event_format(JsonAndRequest(json)).with_writer(move || writer.clone());
        let _guard = tracing::subscriber::set_default(logs.finish());
        serving(HeaderValue::from_static("r-1"), async {
            tokio::task::yield_now().await;
            tracing::info!(answer = 42, "within");
        })
        .await;
        tracing::info!("without");
        let text = String::from_utf8(page.0.lock().clone()).unwrap();
        let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!((&lines[0]["requestId"], &lines[0]["answer"]), (&"r-1".into(), &42.into()), "{text}");
        assert!(lines[1].get("requestId").is_none(), "{text}");
    }
}
